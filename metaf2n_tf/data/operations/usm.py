"""Unsharp masking as Real-ESRGAN sharpens its targets (BasicSR, `basicsr/utils/img_process_util.py`, `USMSharp`)."""

import functools

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape

RADIUS, WEIGHT, THRESHOLD = 50, 0.5, 10.0
_BLOCK = 100  # rows


@functools.cache
def _blur_matrix(length: int, radius: int) -> np.ndarray:
    """A Gaussian blur of one axis with reflected border, float32 (length, length).

    The kernel is OpenCV's for this many taps and no given sigma.
    """
    taps = radius + 1 - radius % 2
    sigma = 0.3 * ((taps - 1) / 2 - 1) + 0.8
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-np.square(offsets) / (2 * sigma**2))
    source = np.abs(np.arange(length)[:, None] + offsets)
    source = np.minimum(source, 2 * (length - 1) - source)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], source), weights / weights.sum())
    return matrix.astype(np.float32)


def _blur_rows(planes: tf.Tensor, radius: int) -> tf.Tensor:
    """Blur the last axis but one. Blocks of the matrix, because most of it is zero."""
    length = static_shape(planes)[-2]
    matrix, reach = _blur_matrix(length, radius), radius // 2
    blocks = []
    for first in range(0, length, _BLOCK):
        used = slice(max(first - reach, 0), min(first + _BLOCK + reach, length))
        blocks.append(matrix[first : first + _BLOCK, used] @ planes[:, :, used])
    return tf.concat(blocks, axis=-2)


def sharpen(planes: tf.Tensor, radius: int = RADIUS, weight: float = WEIGHT, threshold: float = THRESHOLD) -> tf.Tensor:
    """Add `weight` times what a blur takes away, where that is more than `threshold` levels; the seams are blurred.

    Args:
      planes: float32 (N, C, H, W) in [0, 1], H and W static and larger than radius / 2.
      radius: taps of the blur, the next odd number if even.
      weight: strength.
      threshold: levels of 255.

    Returns:
      float32 (N, C, H, W) in [0, 1].
    """

    def blur(x: tf.Tensor) -> tf.Tensor:
        for _ in ("columns", "rows"):
            x = tf.linalg.matrix_transpose(_blur_rows(x, radius))
        return x

    residual = planes - blur(planes)
    soft = blur(tf.cast(tf.abs(residual) * 255.0 > threshold, tf.float32))
    sharp = tf.clip_by_value(planes + weight * residual, 0.0, 1.0)
    return soft * sharp + (1 - soft) * planes
