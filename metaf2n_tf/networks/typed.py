"""What TensorFlow's type stubs do not know of convolutions, said in one place."""

from typing import Any, cast

import numpy as np
import tensorflow as tf


def static_shape(values: tf.Tensor | np.ndarray) -> tuple[int, ...]:
    """The shape, for the dimensions of it that are known when a program is traced, as all of a variable's are."""
    return cast(tuple[int, ...], tuple(values.shape))


def zeros_around(pixels: int) -> Any:
    """So many pixels on every side of (N, H, W, C): the explicit `padding` of `tf.nn.conv2d`, and `paddings` of
    `tf.pad`."""
    return [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]]
