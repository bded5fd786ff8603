"""Gaussian and Poisson noise (BasicSR, `basicsr/data/degradations.py`), drawn from stateless seeds."""

import tensorflow as tf

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's rgb_to_grayscale


def _a_picture(values: tf.Tensor | float) -> tf.Tensor:
    return tf.reshape(values, [-1, 1, 1, 1])


def _gray_where(gray: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """The first channel's noise on all three, in the pictures whose noise is gray."""
    return tf.where(gray, noise[:, :1], noise)


def gaussian_noise(planes: tf.Tensor, seed: tf.Tensor, sigma: tf.Tensor, gray: tf.Tensor) -> tf.Tensor:
    """N(0, (sigma / 255)^2) for every value.

    Args:
      planes: float32 (N, 3, H, W), which gives the shape.
      seed: int32 (2,).
      sigma: float32 (N,) or scalar, in levels of 255.
      gray: bool (N,) or scalar: one noise for the three channels.

    Returns:
      float32 (N, 3, H, W), to be added to the picture.
    """
    noise = tf.random.stateless_normal(tf.shape(planes), seed)
    return _gray_where(_a_picture(gray), noise) * _a_picture(sigma) / 255.0


def _to_levels(planes: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.round(planes * 255.0), 0.0, 255.0)


def _count_levels(levels: tf.Tensor) -> tf.Tensor:
    """How many of the 256 levels each picture uses, int32 (N,)."""
    flat = tf.cast(tf.reshape(levels, [tf.shape(levels)[0], -1]), tf.int32)
    used = tf.math.bincount(flat, minlength=256, maxlength=256, axis=-1, binary_output=True)
    return tf.reduce_sum(used, axis=-1)


def poisson_noise(planes: tf.Tensor, seed: tf.Tensor, scale: tf.Tensor, gray: tf.Tensor) -> tf.Tensor:
    """scale * (Poisson(x v) / v - x), x the 8-bit picture, v the power of two not below its number of levels.

    Args:
      planes: float32 (N, 3, H, W), RGB, about [0, 1].
      seed: int32 (2,).
      scale: float32 (N,) or scalar.
      gray: bool (N,) or scalar: one noise, that of the gray picture, for the three channels.

    Returns:
      float32 (N, 3, H, W), to be added to the picture.
    """
    gray = _a_picture(gray)
    luma = tf.add_n([weight * planes[:, channel, None] for channel, weight in enumerate(_LUMA)])
    levels = _to_levels(tf.where(gray, luma, planes))
    powers = 2 ** tf.range(8)
    exponent = tf.reduce_sum(tf.cast(_count_levels(levels)[:, None] > powers, tf.float32), axis=1)
    values = _a_picture(tf.pow(2.0, exponent))
    image = levels / 255.0
    drawn = tf.random.stateless_poisson(tf.shape(image), seed, image * values, tf.float32)
    return _gray_where(gray, drawn / values - image) * _a_picture(scale)
