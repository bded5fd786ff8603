"""Runs exported networks with programs that know nothing of this project; see `PROGRAMS`.

Also a script, for an environment that has none of this project's packages:
python other_programs.py PROGRAM FILE PICTURES.npy RESULT.npy
"""

import sys
from pathlib import Path

import numpy as np


def onnxruntime(path, pictures):
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (result,) = session.run(["output"], {"input": pictures.transpose(0, 3, 1, 2)})
    return result.transpose(0, 2, 3, 1)


def onnx_reference(path, pictures):
    """The package onnx: its checker, and its own slow evaluator."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    onnx.checker.check_model(str(path), full_check=True)
    (result,) = ReferenceEvaluator(str(path)).run(None, {"input": pictures.transpose(0, 3, 1, 2)})
    return result.transpose(0, 2, 3, 1)


def ncnn(path, pictures):
    import ncnn

    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    assert net.load_param(str(path.with_suffix(".param"))) == 0
    assert net.load_model(str(path.with_suffix(".bin"))) == 0
    results = []
    for picture in np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)):
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(picture).clone())
        code, result = extractor.extract("output")
        assert code == 0
        results.append(np.array(result))
    return np.stack(results).transpose(0, 2, 3, 1)


def saved_model(path, pictures):
    import tensorflow as tf

    return tf.saved_model.load(str(path)).signatures["serving_default"](input=tf.constant(pictures))["output"].numpy()


def _interpreted(interpreter, pictures):
    interpreter.allocate_tensors()
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], pictures)
    interpreter.invoke()
    return interpreter.get_tensor(taken["index"])


def tflite(path, pictures):
    import tensorflow as tf

    return _interpreted(tf.lite.Interpreter(str(path)), pictures)


def litert(path, pictures):
    from ai_edge_litert.interpreter import Interpreter

    return _interpreted(Interpreter(str(path)), pictures)


def _torch(module, pictures):
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())).numpy().transpose(0, 2, 3, 1)


def spandrel(path, pictures):
    """What chaiNNer and ComfyUI load models with."""
    import spandrel

    return _torch(spandrel.ModelLoader(device="cpu").load_from_file(path).model.eval().float(), pictures)


def _real_esrgan_networks(state):
    """The classes of BasicSR's rrdbnet_arch.py and srvgg_arch.py: their parameters, and what they compute."""
    import torch
    from torch import nn
    from torch.nn import functional

    def conv(cin, cout):
        return nn.Conv2d(cin, cout, 3, 1, 1)

    def leaky(x):
        return functional.leaky_relu(x, 0.2)

    class DenseBlock(nn.Module):
        def __init__(self, width, grown):
            super().__init__()
            for index in range(1, 6):
                setattr(self, f"conv{index}", conv(width + (index - 1) * grown, grown if index < 5 else width))

        def forward(self, x):
            features = [x]
            for index in range(1, 5):
                features.append(leaky(getattr(self, f"conv{index}")(torch.cat(features, 1))))
            return self.conv5(torch.cat(features, 1)) * 0.2 + x

    class RRDB(nn.Module):
        def __init__(self, width, grown):
            super().__init__()
            self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width, grown) for _ in range(3))

        def forward(self, x):
            return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x

    class RRDBNet(nn.Module):
        def __init__(self, width, grown, blocks):
            super().__init__()
            self.conv_first, self.conv_body, self.conv_last = conv(3, width), conv(width, width), conv(width, 3)
            self.body = nn.Sequential(*(RRDB(width, grown) for _ in range(blocks)))
            self.conv_up1, self.conv_up2, self.conv_hr = (conv(width, width) for _ in range(3))

        def forward(self, x):
            first = self.conv_first(x)
            x = first + self.conv_body(self.body(first))
            for up in (self.conv_up1, self.conv_up2):
                x = leaky(up(functional.interpolate(x, scale_factor=2, mode="nearest")))
            return self.conv_last(leaky(self.conv_hr(x)))

    class SRVGGNetCompact(nn.Module):
        def __init__(self, width, convs):
            super().__init__()
            layers = [conv(3, width), nn.PReLU(width)]
            for _ in range(convs):
                layers += [conv(width, width), nn.PReLU(width)]
            self.body = nn.ModuleList([*layers, conv(width, 48)])

        def forward(self, x):
            out = x
            for layer in self.body:
                out = layer(out)
            return functional.pixel_shuffle(out, 4) + functional.interpolate(x, scale_factor=4, mode="nearest")

    if "conv_first.weight" in state:
        grown = len(state["body.0.rdb1.conv1.bias"])
        blocks = len({name.split(".")[1] for name in state if name.startswith("body.")})
        return RRDBNet(len(state["conv_first.bias"]), grown, blocks)
    return SRVGGNetCompact(len(state["body.0.bias"]), sum(value.ndim == 4 for value in state.values()) - 2)


def realesrgan(path, pictures):
    """As Real-ESRGAN's inference script: torch.load, `params_ema` or `params`, a strict load_state_dict."""
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    assert set(content) == {"params", "params_ema"}
    module = _real_esrgan_networks(content["params_ema"])
    for state in content.values():
        module.load_state_dict(state, strict=True)
    return _torch(module.eval(), pictures)


PROGRAMS = {
    run.__name__: run for run in (onnxruntime, onnx_reference, ncnn, saved_model, tflite, litert, spandrel, realesrgan)
}

if __name__ == "__main__":
    program, file, given, result = sys.argv[1:]
    np.save(result, PROGRAMS[program](Path(file), np.load(given)))
