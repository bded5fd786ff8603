"""An SR network as a short list of layers that every format has, read off its own forward pass.

The forward pass is traced once; each operation of the trace that the picture reaches becomes a layer, or part of one.
So a network has to say what it computes in one place alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import sr

_TRACED_SIDE = 16  # LQ pixels; the layers are those of any size


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer, and those that it takes.

    kind, and what belongs to it:
      input: the picture, 3 channels;
      conv: kernel HWIO and bias (out,) as `arrays`, the stride as `number`, padded with zeros as TensorFlow's SAME;
      relu; leaky_relu: the slope as `number`; prelu: the slopes (C,) as `arrays`;
      scale: times `number`; add: two inputs; concat: along the channels;
      enlarge: each pixel a rectangle of `factors`;
      pixel_shuffle: channels to pixels, `factors` as large, in PyTorch's order.
    """

    kind: str
    inputs: tuple["Layer", ...] = ()
    arrays: tuple[np.ndarray, ...] = ()
    number: float = 0.0
    factors: tuple[int, int] = (1, 1)

    @property
    def pads(self) -> list[int]:
        """Zeros before and after the rows, before and after the columns, that a convolution wants."""
        missing = [max(side - int(self.number), 0) for side in self.arrays[0].shape[:2]]
        return [part for total in missing for part in (total // 2, total - total // 2)]


def in_order(last: Layer) -> list[Layer]:
    """A layer with all that it depends on, each behind its inputs."""
    found: dict[Layer, None] = {}
    waiting = [last]
    while waiting:
        layer = waiting[-1]
        rest = [one for one in reversed(layer.inputs) if one not in found]
        if rest:
            waiting += rest
        else:
            found[waiting.pop()] = None
    return list(found)


Value = Layer | np.ndarray


def _conv(operation: tf.Operation, x: Layer, kernel: np.ndarray) -> Layer:
    strides, dilations = operation.get_attr("strides"), operation.get_attr("dilations")
    if operation.get_attr("padding") != b"SAME" or strides[1] != strides[2] or set(dilations) != {1}:
        raise ValueError("a convolution of another kind than those that are known")
    return Layer("conv", (x,), (kernel, np.zeros(kernel.shape[3], np.float32)), strides[1])


def _bias(_: tf.Operation, x: Layer, bias: np.ndarray) -> Layer:
    if x.kind != "conv":
        raise ValueError("a bias without a convolution")
    return replace(x, arrays=(x.arrays[0], x.arrays[1] + bias))


def _scale(_: tf.Operation, first: Value, second: Value) -> Layer:
    x, factor = (second, first) if isinstance(second, Layer) else (first, second)
    if not isinstance(x, Layer) or not isinstance(factor, np.ndarray):
        raise ValueError("a product of two features")
    if factor.size == 1:
        return Layer("scale", (x,), number=float(factor.reshape(())))
    return Layer("channel_scale", (x,), (factor.reshape(-1),))


def _add(_: tf.Operation, first: Value, second: Value) -> Layer:
    if not (isinstance(first, Layer) and isinstance(second, Layer)):
        raise ValueError("a sum of features and numbers")
    return Layer("add", (first, second))


def _is(layer: Layer, *kinds: str) -> bool:
    """Whether it is of the first kind, its first input of the second, and so on."""
    for kind in kinds:
        if layer.kind != kind:
            return False
        layer = layer.inputs[0] if layer.inputs else layer
    return True


def _subtract(operation: tf.Operation, first: Layer, second: Layer) -> Layer:
    """Also relu(x) - slope * relu(-x), which is PReLU."""
    if _is(first, "relu") and _is(second, "channel_scale", "relu", "scale"):
        negative = second.inputs[0].inputs[0]
        if negative.number == -1 and negative.inputs == first.inputs:
            return Layer("prelu", first.inputs, second.arrays)
    return _add(operation, first, Layer("scale", (second,), number=-1))


def _concat(_: tf.Operation, *values: Value) -> Layer:
    *features, axis = values
    if axis not in (-1, 3) or not all(isinstance(one, Layer) for one in features):
        raise ValueError("features put together along another axis than their channels")
    return Layer("concat", tuple(one for one in features if isinstance(one, Layer)))


def _expand(_: tf.Operation, x: Layer, axis: np.ndarray) -> Layer:
    return Layer("expanded", (x,), number=int(axis))


def _tile(_: tf.Operation, x: Layer, times: np.ndarray) -> Layer:
    """Channels over and over; or, along an axis that was put in for it, rows or columns: `tf.repeat`."""
    repeated = [(axis, int(count)) for axis, count in enumerate(times) if count != 1]
    if len(repeated) == 1:
        axis, count = repeated[0]
        if x.kind == "expanded" and axis == x.number and axis in (2, 3):
            factors = (count, 1) if axis == 2 else (1, count)
            x = x.inputs[0]
            if x.kind == "enlarge":
                x, factors = x.inputs[0], (factors[0] * x.factors[0], factors[1] * x.factors[1])
            return Layer("enlarge", (x,), factors=factors)
        if x.kind != "expanded" and axis == 3:
            return Layer("tile", (x,), number=count)
    raise ValueError("something repeated that is neither pixels nor channels")


def _reshape(_: tf.Operation, x: Layer, _shape: np.ndarray) -> Layer:
    if x.kind != "enlarge":
        raise ValueError("features in another shape")
    return x


def _shuffled(x: Layer, factor: int) -> Layer:
    """`tf.nn.depth_to_space`, whose order of channels is another than PyTorch's, moved up to the convolutions."""
    if x.kind in ("add", "relu", "leaky_relu", "scale"):
        return replace(x, inputs=tuple(_shuffled(one, factor) for one in x.inputs))
    if x.kind == "tile" and x.number == factor**2:
        return Layer("enlarge", x.inputs, factors=(factor, factor))
    if x.kind == "conv":
        arrays = [array.reshape(*array.shape[:-1], factor**2, -1).swapaxes(-1, -2) for array in x.arrays]
        conv = replace(x, arrays=tuple(array.reshape(*array.shape[:-2], -1) for array in arrays))
        return Layer("pixel_shuffle", (conv,), factors=(factor, factor))
    raise ValueError(f"channels that become pixels after {x.kind}")


_OPERATIONS: Mapping[str, Callable[..., Layer]] = {
    "Conv2D": _conv,
    "BiasAdd": _bias,
    "Relu": lambda _, x: Layer("relu", (x,)),
    "LeakyRelu": lambda operation, x: Layer("leaky_relu", (x,), number=operation.get_attr("alpha")),
    "Neg": lambda _, x: Layer("scale", (x,), number=-1),
    "Mul": _scale,
    "AddV2": _add,
    "Sub": _subtract,
    "ConcatV2": _concat,
    "ExpandDims": _expand,
    "Tile": _tile,
    "Reshape": _reshape,
    "DepthToSpace": lambda operation, x: _shuffled(x, operation.get_attr("block_size")),
}


def _reached(graph: tf.Graph, picture: tf.Tensor) -> Iterator[tf.Operation]:
    """The operations that depend on the picture, in order."""
    reached = {picture.op}
    for operation in graph.get_operations():
        if any(tensor.op in reached for tensor in operation.inputs):
            reached.add(operation)
            yield operation


def _constants(graph: tf.Graph, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The values of tensors that depend on no picture: mostly weights, some in another order."""
    values = {name: tf.get_static_value(graph.get_tensor_by_name(name)) for name in names}
    computed = [name for name, value in values.items() if value is None]
    nodes, waiting = {}, [graph.get_tensor_by_name(name).op for name in computed]
    while waiting:
        operation = waiting.pop()
        nodes[operation.name] = operation.node_def
        waiting += [tensor.op for tensor in operation.inputs if tensor.op.name not in nodes]
    part = tf.compat.v1.GraphDef(node=nodes.values(), versions=graph.graph_def_versions)
    run = tf.function(lambda: tf.graph_util.import_graph_def(part, return_elements=computed), autograph=False)
    values |= dict(zip(computed, run() if computed else [], strict=True))
    return {name: np.asarray(value) for name, value in values.items()}


def trace(params: Mapping[str, np.ndarray]) -> Layer:
    """The layers of the network that the params are of: the last one, which leads to the others.

    They are those of pictures whose sides are multiples of `sr.unit`.

    Raises:
      UserError: it has an operation that is no layer known here.
    """
    network, side = sr.network_of(params), _TRACED_SIDE * sr.unit(params)
    with tf.Graph().as_default() as graph:
        picture = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[1, side, side, 3])
        result = network.forward({name: tf.constant(value) for name, value in params.items()}, picture, network.block)
    operations = list(_reached(graph, picture))
    of_picture = {picture.name, *(tensor.name for operation in operations for tensor in operation.outputs)}
    others = {tensor.name for operation in operations for tensor in operation.inputs} - of_picture
    values: dict[str, Value] = {**_constants(graph, others), picture.name: Layer("input")}
    for operation in operations:
        try:
            made = _OPERATIONS[operation.type](operation, *(values[tensor.name] for tensor in operation.inputs))
        except KeyError:
            raise UserError(f"this network has an operation {operation.type}, which is no layer known here") from None
        except ValueError as error:
            raise UserError(f"this network has {error}, which is no layer known here") from None
        values[operation.outputs[0].name] = made
    last = values[result.name]
    assert isinstance(last, Layer)
    return last
