"""LPIPS 0.1 on AlexNet: how different two pictures look (Zhang et al., "The Unreasonable Effectiveness of Deep Features
as a Perceptual Metric", CVPR 2018).
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks import alexnet

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10
_MIN_SQUARE = 1e-20

Params = Mapping[str, tf.Tensor | np.ndarray]
Pool = Callable[[tf.Tensor], tf.Tensor]


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{name: shape}` of AlexNet and of the linear layers `NetLinLayer_0/Conv_0/kernel` (1, 1, 64, 1) to `_4`."""
    linear = {f"NetLinLayer_{index}/Conv_0/kernel": (1, 1, width, 1) for index, width in enumerate(alexnet.WIDTHS)}
    return alexnet.variable_shapes() | linear


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
      params: `{name: tensor}` with the names and shapes of `variable_shapes`, as `weights/lpips.py` reads them.
      input0, input1: floating point (N, H, W, 3), RGB in [0, 1], sides of at least `alexnet.MIN_SIDE`. Values outside
        are not clipped.
      pool: `alexnet.max_pool` where no derivative is needed: the same values in less time.

    Returns:
      (N,), 0 for equal pictures; float32, or float64 where the params are. Derivatives of every order are finite, also
      where all features of a pixel are 0.
    """
    return tf.add_n(layer_distances(params, input0, input1, pool))
