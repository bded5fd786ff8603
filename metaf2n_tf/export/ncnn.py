"""ncnn's `.param` and `.bin` pair, with the names that realesrgan-ncnn-vulkan and upscayl ask for: `data`, `output`.

The `.param` text lists the layers with the blobs that go in and out, the `.bin` holds the weights in the same order, as
`weights/ncnn.py` reads them. A blob goes into one layer only, so what several need is split before.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.export import layers
from metaf2n_tf.export.layers import Layer
from metaf2n_tf.networks import sr
from metaf2n_tf.weights.check import to_half
from metaf2n_tf.weights.load import Weights
from metaf2n_tf.weights.ncnn import FP16_FLAG, FP32_FLAG, PARAM_MAGIC

_INPUT, _OUTPUT = "data", "output"


def _conv(layer: Layer) -> Mapping[int, object]:
    height, width, _, outputs = layer.arrays[0].shape
    top, bottom, left, right = layer.pads
    sizes = {0: outputs, 1: width, 11: height, 3: int(layer.number), 5: 1, 6: layer.arrays[0].size}
    return sizes | {4: left, 14: top, 15: right, 16: bottom}


# What ncnn calls a layer, and its parameters by number.
_KINDS: Mapping[str, tuple[str, Callable[[Layer], Mapping[int, object]]]] = {
    "input": ("Input", lambda _: {}),
    "conv": ("Convolution", _conv),
    "relu": ("ReLU", lambda _: {}),
    "leaky_relu": ("ReLU", lambda layer: {0: layer.number}),
    "prelu": ("PReLU", lambda layer: {0: layer.arrays[0].size}),
    "scale": ("BinaryOp", lambda layer: {0: 2, 1: 1, 2: layer.number}),
    "add": ("BinaryOp", lambda _: {0: 0}),
    "concat": ("Concat", lambda _: {0: 0}),
    "enlarge": ("Interp", lambda layer: {0: 1, 1: float(layer.factors[0]), 2: float(layer.factors[1])}),
    "pixel_shuffle": ("PixelShuffle", lambda layer: {0: layer.factors[0]}),
}


def _stored(output: Path, layer: Layer, name: str, half: bool) -> bytes:
    """What the `.bin` holds of a layer: kernels OIHW with a flag and padded to 4 bytes, all else as it is."""
    if layer.kind != "conv":
        return b"".join(array.astype("<f4").tobytes() for array in layer.arrays)
    kernel, bias = layer.arrays[0].transpose(3, 2, 0, 1), layer.arrays[1].astype("<f4").tobytes()
    numbers = to_half(output, f"of layer {name}", kernel).astype("<f2") if half else kernel.astype("<f4")
    content = numbers.tobytes()
    return struct.pack("<I", FP16_FLAG if half else FP32_FLAG) + content + b"\0" * (-len(content) % 4) + bias


def write_ncnn(output: Path, weights: Weights, half: bool) -> None:
    """Write the pair.

    Args:
      output: the `.param`; the `.bin` lies beside it.
      half: kernels as float16, else float32.

    Raises:
      UserError: ncnn's programs cannot run this network, a value is too large for float16, or the files cannot be
        written.
    """
    if sr.unit(weights.sr) > 1:
        raise UserError(
            f"{output}: {sr.network_of(weights.sr).title({name: value.shape for name, value in weights.sr.items()})} "
            f"takes sides that are multiples of {sr.unit(weights.sr)} alone, which ncnn's programs do not give it"
        )
    last = layers.trace(weights.sr)
    order = layers.in_order(last)
    uses = Counter(one for layer in order for one in layer.inputs)
    blobs: dict[Layer, list[str]] = {}  # what is left of each layer's output for those that take it
    lines, stored, count = [], [], 0
    for number, layer in enumerate(order):
        kind, options = _KINDS[layer.kind]
        taken = [blobs[one].pop() for one in layer.inputs]
        made = _INPUT if layer.kind == "input" else _OUTPUT if layer is last else f"blob_{number}"
        name, count = f"{layer.kind}_{number}", count + 1
        numbers = [
            f"{key}={value:.8e}" if isinstance(value, float) else f"{key}={value}"
            for key, value in options(layer).items()
        ]
        lines.append(" ".join([f"{kind:16} {name:24}", str(len(taken)), "1", *taken, made, *numbers]))
        stored.append(_stored(output, layer, name, half))
        blobs[layer] = [made]
        if uses[layer] > 1:
            blobs[layer] = [f"{made}_{copy}" for copy in range(uses[layer])]
            lines.append(
                " ".join([f"{'Split':16} {'split_' + str(number):24}", "1", str(uses[layer]), made, *blobs[layer]])
            )
            count += uses[layer]
    param = "\n".join([PARAM_MAGIC, f"{len(lines)} {count}", *lines, ""])
    files.write_pair(output.with_suffix(".param"), param.encode(), output.with_suffix(".bin"), b"".join(stored))
