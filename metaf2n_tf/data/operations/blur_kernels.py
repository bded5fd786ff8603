"""Blur kernels of Real-ESRGAN's degradation model (BasicSR, `basicsr/data/degradations.py`).

All kernels come on one square grid, zero outside their own size, so that kernels of several sizes share a batch.
Arithmetic is float64, as published.
"""

import math

import tensorflow as tf

GRID = 21


def _on_grid(values: tf.Tensor | float, dtype: tf.DType = tf.float64) -> tf.Tensor:
    """Values (...), one a kernel, as (..., 1, 1)."""
    return tf.expand_dims(tf.expand_dims(tf.cast(values, dtype), -1), -1)


def _grid(size: tf.Tensor | int, grid: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Coordinates (x = column, y = row downward) about the centre, and where the kernel's own size reaches."""
    axis = tf.range(grid, dtype=tf.float64) - grid // 2
    x, y = tf.meshgrid(axis, axis)
    half = _on_grid(size) / 2
    return x, y, tf.maximum(tf.abs(x), tf.abs(y)) < half


def _normalise(kernel: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    kernel = tf.where(inside, kernel, tf.zeros_like(kernel))
    return tf.cast(kernel / tf.reduce_sum(kernel, axis=[-2, -1], keepdims=True), tf.float32)


def bivariate(
    size: tf.Tensor | int,
    sigma_x: tf.Tensor | float,
    sigma_y: tf.Tensor | float,
    theta: tf.Tensor | float,
    beta: tf.Tensor | float = 1.0,
    plateau: tf.Tensor | bool = False,
    grid: int = GRID,
) -> tf.Tensor:
    """Generalised Gaussian exp(-q^beta / 2), a Gaussian at beta = 1, or plateau 1 / (1 + q^beta).

    q is the squared Mahalanobis distance for the covariance R diag(sigma_x^2, sigma_y^2) R^T,
    R = [[cos, -sin], [sin, cos]] of theta.

    Args:
      size: odd side of the kernel, at most `grid`; like all the others a scalar, or one a kernel: shape (...).
      sigma_x, sigma_y: standard deviations in pixels; equal for an isotropic kernel.
      theta: rotation in radians.
      beta: shape exponent.
      plateau: which of the two families.
      grid: side of the result.

    Returns:
      float32 (..., grid, grid), sum 1.
    """
    sigma_x, sigma_y, theta, beta = map(_on_grid, (sigma_x, sigma_y, theta, beta))
    x, y, inside = _grid(size, grid)
    along = (tf.cos(theta) * x + tf.sin(theta) * y) / sigma_x
    across = (tf.cos(theta) * y - tf.sin(theta) * x) / sigma_y
    power = tf.pow(tf.square(along) + tf.square(across), beta)
    family = tf.where(_on_grid(plateau, tf.bool), 1 / (1 + power), tf.exp(-0.5 * power))
    return _normalise(family, inside)


def circular_lowpass(size: tf.Tensor | int, cutoff: tf.Tensor | float, grid: int = GRID) -> tf.Tensor:
    """2D sinc filter, cutoff * J1(cutoff * r) / (2 pi r): rings like a sharpened or over-compressed picture.

    Args:
      size: odd side of the kernel, at most `grid`; like `cutoff` a scalar, or one a kernel: shape (...).
      cutoff: radians per pixel, in (0, pi].
      grid: side of the result.

    Returns:
      float32 (..., grid, grid), sum 1, partly negative.
    """
    cutoff = _on_grid(cutoff)
    x, y, inside = _grid(size, grid)
    radius = tf.sqrt(tf.square(x) + tf.square(y))
    apart = tf.where(radius > 0, radius, tf.ones_like(radius))
    rings = cutoff * tf.math.special.bessel_j1(cutoff * apart) / (2 * math.pi * apart)
    return _normalise(tf.where(radius > 0, rings, tf.square(cutoff) / (4 * math.pi)), inside)


def pulse(grid: int = GRID) -> tf.Tensor:
    """The kernel that leaves a picture as it is, float32 (grid, grid)."""
    return tf.scatter_nd([[grid // 2, grid // 2]], [1.0], [grid, grid])
