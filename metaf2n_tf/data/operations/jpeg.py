"""JPEG compression and back, with the arithmetic of DiffJPEG (MetaF2N's `utils/diffjpeg.py`), rounding included.

It differs from libjpeg's: quantisation tables are neither rounded nor bounded below, and they are used transposed.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from metaf2n_tf.errors import UserError

_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_CHROMA = np.full((8, 8), 99, np.float32)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

_TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_MCU = 16  # luma pixels a side of the smallest unit at 2x2 chroma subsampling


def _dct() -> np.ndarray:
    """Orthonormal 2D DCT of flattened 8x8 blocks, (64 pixels, 64 coefficients)."""
    x, u = np.mgrid[:8, :8]
    basis = np.cos((2 * x + 1) * u * np.pi / 16) * np.where(u == 0, np.sqrt(1 / 8), 1 / 2)
    return np.kron(basis, basis).astype(np.float32)


_DCT = _dct()


def _quantise(planes: tf.Tensor, table: np.ndarray, factor: tf.Tensor) -> tf.Tensor:
    """Planes (N, C, H, W) through 8x8 blocks of rounded DCT coefficients and back."""
    count, channels, height, width = tf.unstack(tf.shape(planes))
    blocks = tf.reshape(planes - 128.0, [count, channels * height // 8, 8, width // 8, 8])
    blocks = tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4]), [count, -1, 64])
    steps = table.T.reshape(64) * factor
    blocks = tf.round(blocks @ _DCT / steps) * steps
    pixels = tf.matmul(blocks, _DCT, transpose_b=True)
    pixels = tf.reshape(pixels, [count, channels * height // 8, width // 8, 8, 8])
    return tf.reshape(tf.transpose(pixels, [0, 1, 3, 2, 4]), tf.shape(planes)) + 128.0


def _mix(matrix: np.ndarray, planes: tf.Tensor) -> tf.Tensor:
    """A linear map of the three channels."""
    shape = tf.shape(planes)
    return tf.reshape(matrix @ tf.reshape(planes, [shape[0], 3, -1]), shape)


def _halve(planes: tf.Tensor) -> tf.Tensor:
    """Means of 2x2 pixels."""
    count, channels, height, width = tf.unstack(tf.shape(planes))
    return tf.reduce_mean(tf.reshape(planes, [count, channels, height // 2, 2, width // 2, 2]), axis=[3, 5])


def _missing(side: Any) -> Any:
    """What a side lacks to whole units; of an int an int, which keeps shapes static, of a tensor a tensor."""
    return -side % _MCU


def jpeg(planes: tf.Tensor, quality: tf.Tensor | float) -> tf.Tensor:
    """Compress and decompress: YCbCr, 2x2 chroma subsampling, 8x8 DCT, rounding.

    Args:
      planes: float32 (N, 3, H, W), RGB in [0, 1]; black is added at the right and bottom to multiples of 16.
      quality: above 0 and below 100, where the tables are zero; one for all or one a picture: (N,).

    Returns:
      float32 (N, 3, H, W), clipped to [0, 1], not rounded to levels.

    Raises:
      UserError: another quality, as far as it is known before the graph runs.
    """
    known = tf.get_static_value(quality)
    if known is not None and not np.all((np.asarray(known) > 0) & (np.asarray(known) < 100)):
        raise UserError(f"JPEG quality {known}: above 0 and below 100")
    quality = tf.cast(quality, tf.float32)
    factor = tf.reshape(tf.where(quality < 50.0, 50.0 / quality, 2.0 - quality / 50.0), [-1, 1, 1])
    height, width = planes.shape[2] or tf.shape(planes)[2], planes.shape[3] or tf.shape(planes)[3]
    levels = tf.pad(planes * 255.0, [[0, 0], [0, 0], [0, _missing(height)], [0, _missing(width)]])
    ycbcr = _mix(_TO_YCBCR, levels)
    luma = _quantise(ycbcr[:, :1], _LUMA, factor)
    chroma = _quantise(_halve(ycbcr[:, 1:]) + 128.0, _CHROMA, factor) - 128.0
    chroma = tf.repeat(tf.repeat(chroma, 2, axis=2), 2, axis=3)
    rgb = _mix(_TO_RGB, tf.concat([luma, chroma], axis=1))
    return tf.clip_by_value(rgb[:, :, :height, :width] / 255.0, 0.0, 1.0)
