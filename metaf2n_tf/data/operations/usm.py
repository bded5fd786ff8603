"""Unsharp masking as Real-ESRGAN sharpens its targets (BasicSR, `basicsr/utils/img_process_util.py`, `USMSharp`)."""

import functools

import numpy as np
import tensorflow as tf

RADIUS, WEIGHT, THRESHOLD = 50, 0.5, 10.0


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
    return np.float32(matrix)


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
    rows, columns = (_blur_matrix(side, radius) for side in planes.shape[2:])

    def blur(x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(rows @ x, columns, transpose_b=True)

    residual = planes - blur(planes)
    soft = blur(tf.cast(tf.abs(residual) * 255.0 > threshold, tf.float32))
    sharp = tf.clip_by_value(planes + weight * residual, 0.0, 1.0)
    return soft * sharp + (1 - soft) * planes
