"""The SR networks in PyTorch, ONNX Runtime, OpenVINO and ncnn: what benchmarks/peers.py runs beside ours.

  python benchmarks/peer_runtimes.py openvino float32 FOLDER

Reads FOLDER/photo.npy and FOLDER/areas.npy, and weights.npz, network.onnx or network.param with its .bin; prints a line
when the network is loaded, then, for every line that it is given, the seconds of the photo and of the processor; at the
end it writes FOLDER/RUNTIME-PRECISION.npy. Exits with 3 and a reason where the processor has no such precision. Needs
NumPy and the runtime, nothing of ours.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

THREADS = len(os.sched_getaffinity(0))
NOT_HERE = 3
Forward = Callable[[np.ndarray], np.ndarray]  # (1, 3, h, w) to (1, 3, 4h, 4w), float32


def not_here(reason: str) -> None:
    """Say why this cannot be measured, and end."""
    print(reason, flush=True)
    sys.exit(NOT_HERE)


def pytorch(folder: Path, precision: str, channels_last: bool = False) -> Forward:
    """As Real-ESRGAN runs it: eager, no gradients."""
    import torch
    from torch.nn import functional as F

    if precision == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        not_here("no bfloat16 on this processor")
    dtype = getattr(torch, precision)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with np.load(folder / "weights.npz") as arrays:
        params = {name.removeprefix("MODEL/"): torch.from_numpy(arrays[name]).to(dtype) for name in arrays.files}
    params = {name: x.to(memory_format=layout) if x.ndim == 4 else x for name, x in params.items()}

    def conv(name, x):
        return F.conv2d(x, params[f"{name}/weight"], params[f"{name}/bias"], padding=1)

    def leaky(name, x):
        return F.leaky_relu(conv(name, x), 0.2, inplace=True)

    def compact(image):
        x, index = image, 0
        while f"body/{2 * index + 1}/weight" in params:
            x = F.prelu(conv(f"body/{2 * index}", x), params[f"body/{2 * index + 1}/weight"])
            index += 1
        x = F.pixel_shuffle(conv(f"body/{2 * index}", x), 4)
        return x + F.interpolate(image, scale_factor=4, mode="nearest")

    def rrdbnet(image):
        head = x = conv("conv_first", image)
        for block in range(len({name.split("/")[1] for name in params if name.startswith("body/")})):
            skip = x
            for rdb in (1, 2, 3):
                name, features = f"body/{block}/rdb{rdb}", x
                for index in (1, 2, 3, 4):
                    features = torch.cat([features, leaky(f"{name}/conv{index}", features)], 1)
                x = x + 0.2 * conv(f"{name}/conv5", features)
            x = skip + 0.2 * x
        x = head + conv("conv_body", x)
        for name in ("conv_up1", "conv_up2"):
            x = leaky(name, F.interpolate(x, scale_factor=2, mode="nearest"))
        return conv("conv_last", leaky("conv_hr", x))

    network = rrdbnet if "conv_first/weight" in params else compact

    def forward(window):
        with torch.inference_mode():
            image = torch.from_numpy(window).to(dtype).to(memory_format=layout)
            return network(image).to(torch.float32).numpy()

    return forward


def onnxruntime(folder: Path, _: str) -> Forward:
    """Its own choice of optimizations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(str(folder / "network.onnx"), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda window: session.run(None, {name: window})[0]


def openvino(folder: Path, precision: str) -> Forward:
    """Its CPU plugin, told to serve one picture at a time."""
    import openvino as ov

    core = ov.Core()
    short = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[precision]
    capability = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}[short]
    if capability not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        not_here(f"no {precision} on this processor")
    settings = {"INFERENCE_PRECISION_HINT": short, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS}
    compiled = core.compile_model(core.read_model(folder / "network.onnx"), "CPU", settings)
    return lambda window: compiled(window)[0]


def ncnn(folder: Path, precision: str) -> Forward:
    """On the CPU; float16 and bfloat16 are how it keeps features, and how it computes where the CPU can."""
    import ncnn as library

    net = library.Net()
    net.opt.num_threads = THREADS
    net.opt.use_vulkan_compute = False
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
        setattr(net.opt, name, precision == "float16")
    net.opt.use_bf16_storage = precision == "bfloat16"
    if net.load_param(str(folder / "network.param")) or net.load_model(str(folder / "network.bin")):
        raise SystemExit("ncnn cannot load the network")
    source, target = net.input_names()[0], net.output_names()[0]

    def forward(window):
        with net.create_extractor() as extractor:
            extractor.input(source, library.Mat(window[0]))
            code, result = extractor.extract(target)
            if code:
                raise SystemExit(f"ncnn failed with {code}")
            return np.array(result)[None]

    return forward


RUNTIMES = {
    "pytorch": pytorch,
    "channels_last": lambda folder, precision: pytorch(folder, precision, channels_last=True),
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "ncnn": ncnn,
}


def in_areas(photo: np.ndarray, areas: np.ndarray, forward: Forward) -> np.ndarray:
    """The x4 picture, float32 (4H, 4W, 3), of a photo (H, W, 3); `areas` as benchmarks/peers.py writes them."""
    result = np.empty((4 * photo.shape[0], 4 * photo.shape[1], 3), np.float32)
    for bounds in areas:
        window, place, kept = ((slice(*row[:2]), slice(*row[2:])) for row in bounds)
        image = np.ascontiguousarray(photo[window].transpose(2, 0, 1)[None])
        result[place] = forward(image)[0].transpose(1, 2, 0)[kept]
    return result


def serve(compute: Callable[[], np.ndarray], output: Path) -> None:
    """Print that all is loaded, then seconds and processor seconds of each round that is asked for; keep the last."""
    print("ready", flush=True)
    result = None
    for _ in sys.stdin:
        began, used = time.monotonic(), time.process_time()
        result = compute()
        print(time.monotonic() - began, time.process_time() - used, flush=True)
    np.save(output, result)


def main(runtime: str, precision: str, folder: Path) -> None:
    """Load a runtime and serve."""
    photo, areas = np.load(folder / "photo.npy"), np.load(folder / "areas.npy")
    forward = RUNTIMES[runtime](folder, precision)
    serve(lambda: in_areas(photo, areas, forward), folder / f"{runtime}-{precision}.npy")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
