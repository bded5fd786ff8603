"""LPIPS 0.1 on AlexNet: how different two pictures look (Zhang et al., "The Unreasonable Effectiveness of Deep Features
as a Perceptual Metric", CVPR 2018).

`lpips` is called like the package lpips-tensorflow, which MetaF2N trains with; `distance` is the same with the weights
as an argument.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import alexnet
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.check import check_downloaded, check_variables

WEIGHTS = "weights/lpips-alex.npz"
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10
_MIN_SQUARE = 1e-20

Params = Mapping[str, tf.Tensor]
Pool = Callable[[tf.Tensor], tf.Tensor]


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{name: shape}` of AlexNet and of the linear layers `NetLinLayer_0/Conv_0/kernel` (1, 1, 64, 1) to `_4`."""
    linear = {f"NetLinLayer_{index}/Conv_0/kernel": (1, 1, width, 1) for index, width in enumerate(alexnet.WIDTHS)}
    return alexnet.variable_shapes() | linear


def load_lpips(path: str | Path) -> dict[str, np.ndarray]:
    """Read the params of `distance`, float32, from the `.npz` that `scripts/download_weights.py lpips-alex` makes.

    Raises:
      UserError: nothing there, a damaged file, or other variables.
    """
    path = check_downloaded(path, "lpips-alex")
    return check_variables(str(path), npz.read_npz(path), variable_shapes())


def _normalise(x: tf.Tensor) -> tf.Tensor:
    """Feature vectors of length 1; zero stays zero.

    Published is x / (|x| + epsilon), which has no derivative at zero. Lengths below epsilon count as epsilon here: that
    makes the derivatives finite, and the ReLU that x comes from then makes them zero.
    """
    square = tf.maximum(tf.reduce_sum(x * x, axis=-1, keepdims=True), _MIN_SQUARE)
    return x / (tf.sqrt(square) + _EPSILON)


def layer_distances(
    params: Params, input0: tf.Tensor, input1: tf.Tensor, pool: Pool = alexnet.differentiable_max_pool
) -> list[tf.Tensor]:
    """The five addends of `distance`, each (N,)."""
    dtype = tf.convert_to_tensor(params[f"{alexnet.SCOPE}/Conv_0/kernel"]).dtype
    wide = tf.float64 if dtype == tf.float64 else tf.float32  # float16 cannot hold epsilon

    def look(images: tf.Tensor) -> list[tf.Tensor]:
        images = (2 * tf.cast(images, wide) - 1 - tf.constant(_SHIFT, wide)) / tf.constant(_SCALE, wide)
        return [_normalise(tf.cast(x, wide)) for x in alexnet.features(params, tf.cast(images, dtype), pool)]

    addends = []
    for index, (first, second) in enumerate(zip(look(input0), look(input1), strict=True)):
        weight = tf.cast(tf.reshape(params[f"NetLinLayer_{index}/Conv_0/kernel"], [-1]), wide)
        at_pixels = tf.reduce_sum(tf.math.squared_difference(first, second) * weight, axis=-1)
        addends.append(tf.reduce_mean(at_pixels, axis=[1, 2]))
    return addends


def distance(
    params: Params, input0: tf.Tensor, input1: tf.Tensor, pool: Pool = alexnet.differentiable_max_pool
) -> tf.Tensor:
    """Compare pictures with pictures, one by one.

    Args:
      params: `{name: tensor}` with the names and shapes of `variable_shapes`, as `load_lpips` reads them.
      input0, input1: floating point (N, H, W, 3), RGB in [0, 1], sides of at least `alexnet.MIN_SIDE`. Values outside
        are not clipped.
      pool: `alexnet.max_pool` where no derivative is needed: the same values in less time.

    Returns:
      (N,), 0 for equal pictures; float32, or float64 where the params are. Derivatives of every order are finite, also
      where all features of a pixel are 0.
    """
    return tf.add_n(layer_distances(params, input0, input1, pool))


@functools.cache
def _load_once(path: Path) -> dict[str, tf.Tensor]:
    with tf.init_scope():  # outside of any function that is being traced, so that every function can use them
        return {name: tf.constant(value) for name, value in load_lpips(path).items()}


def check_shapes(first: tf.TensorShape, second: tf.TensorShape) -> None:
    """Raise a UserError for pictures that cannot be compared, as far as their shapes are known."""
    if not first.is_compatible_with(second):
        raise UserError(f"LPIPS: the pictures' shapes differ: {first} and {second}")
    shape = first.merge_with(second)
    if shape.rank is None:
        return
    if shape.rank < 3 or shape[-1] not in (3, None):
        raise UserError(f"LPIPS: pictures of shape {shape}, expected (..., height, width, 3)")
    if any(side is not None and side < alexnet.MIN_SIDE for side in shape[-3:-1]):
        size = f"{shape[-2]}x{shape[-3]}"
        raise UserError(f"LPIPS: pictures of {size} pixels are too small, AlexNet needs sides of {alexnet.MIN_SIDE}")


def lpips(
    input0: tf.Tensor, input1: tf.Tensor, model: str = "net-lin", net: str = "alex", version: float = 0.1
) -> tf.Tensor:
    """Compare pictures, called as in the package lpips-tensorflow; works inside `tf.function` too.

    Args:
      input0, input1: floating point (..., H, W, 3) with any number of leading dimensions, RGB in [0, 1];
        sides of at least `alexnet.MIN_SIDE` pixels.
      model, net, version: only "net-lin", "alex" and 0.1 are there.

    Returns:
      float32 of the leading dimensions' shape. The weights are read from `weights/lpips-alex.npz`, once.

    Raises:
      UserError: no or damaged weights, another model, shapes that differ, pictures that are too small (where their
        size is known when this is called or traced) or not floating point.
    """
    if (model, net, float(version)) != ("net-lin", "alex", 0.1):
        asked = f"model={model!r}, net={net!r}, version={version}"
        raise UserError(f"LPIPS: {asked} is not there, only model='net-lin', net='alex', version=0.1")
    input0, input1 = tf.convert_to_tensor(input0), tf.convert_to_tensor(input1)
    for x in (input0, input1):
        if not x.dtype.is_floating:
            raise UserError(f"LPIPS: pictures of {x.dtype.name}, expected floating point in [0, 1]")
    check_shapes(input0.shape, input1.shape)
    leading = tf.shape(input0)[:-3]
    pictures = [tf.reshape(x, tf.concat([[-1], tf.shape(x)[-3:]], axis=0)) for x in (input0, input1)]
    result = tf.reshape(distance(_load_once(Path(WEIGHTS).absolute()), *pictures), leading)
    return tf.ensure_shape(result, input0.shape[:-3])
