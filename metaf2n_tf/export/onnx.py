"""ONNX: the SR network as a graph, float32 (N, 3, H, W) RGB in [0, 1] to (N, 3, 4H, 4W), any height and width.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto says which field has which number. The package onnx asks for a
protobuf that TensorFlow 2.15 cannot have, and its messages are simple, so they are put together here.
"""

import logging
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from metaf2n_tf import __version__
from metaf2n_tf.data import files
from metaf2n_tf.export import layers
from metaf2n_tf.export.layers import Layer
from metaf2n_tf.networks import sr
from metaf2n_tf.weights.check import to_half
from metaf2n_tf.weights.load import Weights

logger = logging.getLogger(__name__)

INPUT, OUTPUT = "input", "output"
_IR_VERSION, _OPSET = 8, 13  # of 2021: whatever reads ONNX reads them
_FLOAT, _FLOAT16 = 1, 10  # TensorProto.DataType
_ATTRIBUTE_TYPES = {float: 1, int: 2, str: 3, list: 7}  # AttributeProto.AttributeType


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """One field of a protobuf message: a whole number, a float32, a text, or bytes and messages."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _message(fields: Sequence[tuple[int, int | float | str | bytes]]) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _tensor(name: str, value: np.ndarray) -> bytes:
    kind = _FLOAT16 if value.dtype == np.float16 else _FLOAT
    stored = value.astype(value.dtype.newbyteorder("<")).tobytes()
    return _message([*((1, side) for side in value.shape), (2, kind), (8, name), (9, stored)])


def _attribute(name: str, value: float | int | str | list[int]) -> bytes:
    fields = {float: 2, int: 3, str: 4, list: 8}
    values = value if isinstance(value, list) else [value]
    return _message([(1, name), *((fields[type(value)], one) for one in values), (20, _ATTRIBUTE_TYPES[type(value)])])


def _node(
    kind: str, name: str, inputs: Sequence[str], attributes: Mapping[str, float | int | str | list[int]]
) -> bytes:
    """A node whose one output has its own name."""
    described = [(5, _attribute(key, value)) for key, value in attributes.items()]
    return _message([*((1, one) for one in inputs), (2, name), (3, name), (4, kind), *described])


def _value_info(name: str, sides: Sequence[int | str]) -> bytes:
    dims = [(1, _message([(1, side) if isinstance(side, int) else (2, side)])) for side in sides]
    tensor_type = _message([(1, _FLOAT), (2, _message(dims))])
    return _message([(1, name), (2, _message([(1, tensor_type)]))])


def _conv(layer: Layer) -> dict[str, list[int]]:
    top, bottom, left, right = layer.pads
    return {"strides": [int(layer.number)] * 2, "pads": [top, left, bottom, right]}


_RESIZE = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}

# What ONNX calls a layer, its attributes, and the numbers that it takes beside its inputs.
_KINDS: Mapping[str, tuple[str, Callable[[Layer], Mapping], Callable[[Layer], Sequence[np.ndarray]]]] = {
    "conv": ("Conv", _conv, lambda layer: [layer.arrays[0].transpose(3, 2, 0, 1), layer.arrays[1]]),
    "relu": ("Relu", lambda _: {}, lambda _: []),
    "leaky_relu": ("LeakyRelu", lambda layer: {"alpha": layer.number}, lambda _: []),
    "prelu": ("PRelu", lambda _: {}, lambda layer: [layer.arrays[0].reshape(-1, 1, 1)]),
    "scale": ("Mul", lambda _: {}, lambda layer: [np.array([layer.number], np.float32)]),
    "add": ("Add", lambda _: {}, lambda _: []),
    "concat": ("Concat", lambda _: {"axis": 1}, lambda _: []),
    "enlarge": (
        "Resize",
        lambda _: _RESIZE,
        lambda layer: [np.zeros(0, np.float32), np.array([1, 1, *layer.factors], np.float32)],
    ),
    "pixel_shuffle": ("DepthToSpace", lambda layer: {"blocksize": layer.factors[0], "mode": "CRD"}, lambda _: []),
}


def write_onnx(output: Path, weights: Weights, half: bool) -> None:
    """Write the graph; with `half` its weights as float16, which the program that loads it widens.

    Raises:
      UserError: the network has a layer that is not known, a value is too large for float16, or the file cannot be
        written.
    """
    if (unit := sr.unit(weights.sr)) > 1:
        logger.info(f"{output}: takes pictures whose sides are multiples of {unit} alone")
    last = layers.trace(weights.sr)
    names: dict[Layer, str] = {}
    nodes, tensors = [], []
    for number, layer in enumerate(layers.in_order(last)):
        if layer.kind == "input":
            names[layer] = INPUT
            continue
        kind, attributes, numbers = _KINDS[layer.kind]
        name = names[layer] = OUTPUT if layer is last else f"{layer.kind}_{number}"
        taken = [names[one] for one in layer.inputs]
        for index, value in enumerate(numbers(layer)):
            taken.append(f"{name}.{index}")
            if half and kind != "Resize":
                tensors.append(_tensor(f"{name}.{index}.half", to_half(output, f"of layer {name}", value)))
                nodes.append(_node("Cast", f"{name}.{index}", [f"{name}.{index}.half"], {"to": _FLOAT}))
            else:
                tensors.append(_tensor(f"{name}.{index}", value))
        nodes.append(_node(kind, name, taken, attributes(layer)))
    pictures = [
        (11, _value_info(INPUT, ["batch", 3, "height", "width"])),
        (12, _value_info(OUTPUT, ["batch", 3, f"{sr.SCALE}*height", f"{sr.SCALE}*width"])),
    ]
    graph = _message([*((1, node) for node in nodes), (2, "metaf2n"), *((5, one) for one in tensors), *pictures])
    producer = [(1, _IR_VERSION), (2, "metaf2n_tf"), (3, __version__)]
    files.write_bytes(output, _message([*producer, (7, graph), (8, _message([(2, _OPSET)]))]))
