"""Resizing with PyTorch's arithmetic: `F.interpolate`, align_corners unset, no antialiasing.

Every mode is a linear map of rows and one of columns, so each is written as the matrix that it is.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

MODES = ("area", "bilinear", "bicubic")
_BICUBIC_A = -0.75

_Side = int | tf.Tensor


def _area(length: _Side, out: _Side, _: tf.Tensor) -> tf.Tensor:
    """Adaptive average pooling: output i is the plain mean of inputs floor(i n / m) to ceil((i + 1) n / m)."""
    i, source = tf.range(out)[:, None], tf.range(length)[None]
    covered = tf.cast((source >= i * length // out) & (source < -(-(i + 1) * length // out)), tf.float32)
    return covered / tf.reduce_sum(covered, axis=1, keepdims=True)


def _bilinear(length: _Side, out: _Side, ratio: tf.Tensor) -> tf.Tensor:
    last = tf.cast(length - 1, tf.float32)
    centre = tf.clip_by_value((tf.range(tf.cast(out, tf.float32)) + 0.5) * ratio - 0.5, 0.0, last)
    return tf.nn.relu(1 - tf.abs(centre[:, None] - tf.range(tf.cast(length, tf.float32))[None]))


def _bicubic(length: _Side, out: _Side, ratio: tf.Tensor) -> tf.Tensor:
    """Keys' cubic convolution; taps beyond the border read the border pixel."""
    a = _BICUBIC_A
    centre = (tf.range(tf.cast(out, tf.float32)) + 0.5) * ratio - 0.5
    first = tf.floor(centre)
    t = centre - first
    near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (t, 1 - t)]
    far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (t + 1, 2 - t)]
    matrix = tf.constant(0.0)
    for offset, weight in zip((-1, 0, 1, 2), (far[0], *near, far[1]), strict=True):
        source = tf.clip_by_value(tf.cast(first, tf.int32) + offset, 0, length - 1)
        matrix += tf.where(source[:, None] == tf.range(length)[None], weight[:, None], 0.0)
    return matrix


_MATRICES: dict[str, Callable[[_Side, _Side, tf.Tensor], tf.Tensor]] = dict(
    zip(MODES, (_area, _bilinear, _bicubic), strict=True)
)


def _matrix(mode: str | tf.Tensor, length: _Side, out: _Side, ratio: tf.Tensor) -> tf.Tensor:
    """float32 (out, length)."""
    if isinstance(mode, str):
        return _MATRICES[mode](length, out, ratio)
    return tf.switch_case(mode, [lambda m=matrix: m(length, out, ratio) for matrix in _MATRICES.values()])


def _side(planes: tf.Tensor, axis: int) -> _Side:
    return planes.shape[axis] or tf.shape(planes)[axis]


def _apply(planes: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    return tf.matmul(rows @ planes, columns, transpose_b=True)


def resize_to(planes: tf.Tensor, size: Sequence[_Side], mode: str | tf.Tensor) -> tf.Tensor:
    """`F.interpolate(size=...)`: samples are n / m pixels apart.

    Args:
      planes: float32 (N, C, H, W).
      size: height and width of the result, numbers or int32 scalars.
      mode: one of `MODES`, or an int32 scalar, the index of one.

    Returns:
      float32 (N, C, *size), not clipped; bicubic overshoots.
    """
    matrices = []
    for axis, out in zip((2, 3), size, strict=True):
        length = _side(planes, axis)
        matrices.append(_matrix(mode, length, out, tf.cast(length, tf.float32) / tf.cast(out, tf.float32)))
    return _apply(planes, *matrices)


def resize_by(planes: tf.Tensor, scale: float | tf.Tensor, mode: str | tf.Tensor) -> tf.Tensor:
    """`F.interpolate(scale_factor=...)`: sides of floor(n * scale), samples 1 / scale pixels apart, not n / m.

    Args:
      planes: float32 (N, C, H, W).
      scale: a number, which keeps shapes static, or a float64 scalar.
      mode: as for `resize_to`.
    """
    matrices = []
    for axis in (2, 3):
        length = _side(planes, axis)
        if isinstance(scale, int | float) and isinstance(length, int):
            out = math.floor(length * scale)
        else:
            out = tf.cast(tf.floor(tf.cast(length, tf.float64) * tf.cast(scale, tf.float64)), tf.int32)
        matrices.append(_matrix(mode, length, out, tf.cast(1 / tf.cast(scale, tf.float64), tf.float32)))
    return _apply(planes, *matrices)
