"""Filtering with any kernel, by FFT: a 21x21 kernel then costs no more than a small one (BasicSR's `filter2D`)."""

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape

# Lengths that FFTs are fast at; the last one bounds the pictures.
_FAST = np.unique([2**a * 3**b * 5**c for a in range(1, 16) for b in range(10) for c in range(7)])
_FAST = _FAST[_FAST <= 2**15].astype(np.int32)


def _fast_length(length: int | tf.Tensor) -> tf.Tensor:
    return tf.reduce_min(tf.where(length <= _FAST, _FAST, _FAST[-1]))


def filter2d(planes: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Correlate every plane with a kernel (not flipped); the border is reflected, its edge not repeated.

    Args:
      planes: float32 (N, C, H, W), H and W larger than k // 2.
      kernel: float32 (k, k), k odd, or one a picture: (N, k, k).

    Returns:
      float32 (N, C, H, W), not clipped.
    """
    kernel = kernel if len(kernel.shape) == 2 else kernel[:, None]
    border = static_shape(kernel)[-1] // 2
    padded = tf.pad(planes, [[0, 0], [0, 0], [border, border], [border, border]], "REFLECT")
    height, width = planes.shape[2] or tf.shape(planes)[2], planes.shape[3] or tf.shape(planes)[3]
    length = [_fast_length(side + 2 * border) for side in (height, width)]
    spectrum = tf.signal.rfft2d(padded, length) * tf.math.conj(tf.signal.rfft2d(kernel, length))
    return tf.signal.irfft2d(spectrum, length)[:, :, :height, :width]
