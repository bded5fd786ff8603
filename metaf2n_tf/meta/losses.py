"""The outer loss of MetaF2N (paper section 3.3; `train.py`) and the discriminator's."""

from typing import NamedTuple

import tensorflow as tf

_DECAY_STEPS = 10000 / 3
_LEAST_WEIGHT = 0.03
_SMALLEST_WINDOW = 0.7  # of a picture's side


class LossWeights(NamedTuple):
    """Of the terms of the outer loss."""

    l1: float
    lpips: float
    gan: float  # 0: there is no discriminator
    mask: float
    unadapted: float  # of the outer loss of the weights before any inner step, beside that of the adapted ones


PUBLISHED_WEIGHTS = LossWeights(l1=1.0, lpips=0.5, gan=0.1, mask=0.002, unadapted=0.0)


class OuterTerms(NamedTuple):
    """The terms of the outer loss before they are weighted, float32 scalars."""

    l1: tf.Tensor  # mean|hr - SR(lr)|
    lpips: tf.Tensor  # LPIPS-Alex of hr and SR(lr)
    gan: tf.Tensor  # how far the discriminator is from taking SR(lr) for real
    mask: tf.Tensor  # mean((W - 1)^2) / 2

    def total(self, weights: LossWeights) -> tf.Tensor:
        """The outer loss."""
        return weights.l1 * self.l1 + weights.lpips * self.lpips + weights.gan * self.gan + weights.mask * self.mask


def mask_term(weight_map: tf.Tensor) -> tf.Tensor:
    """mean((W - 1)^2) / 2, which keeps W from vanishing."""
    return tf.reduce_mean((weight_map - 1.0) ** 2) / 2.0


def real_loss(logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of logits with "real"."""
    return tf.reduce_mean(tf.nn.softplus(-logits))


def fake_loss(logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of logits with "fake"."""
    return tf.reduce_mean(tf.nn.softplus(logits))


def step_weights(step: tf.Tensor | int, task_iter: int) -> tf.Tensor:
    """MZSR's weights of the outer losses after each inner step: equal at first, later nearly all on the last step.

    Args:
      step: number of the meta-step, from 0.
      task_iter: TASK_ITER, the number of inner steps.

    Returns:
      float32 (task_iter,), summing to 1.
    """
    decay = 1.0 / task_iter / _DECAY_STEPS
    least = _LEAST_WEIGHT / task_iter
    others = tf.maximum(1.0 / task_iter - tf.cast(step, tf.float32) * decay, least)
    return tf.stack([others] * (task_iter - 1) + [1.0 - (task_iter - 1) * others])


def draw_windows(seed: tf.Tensor, count: int, side: int) -> tuple[tf.Tensor, tf.Tensor]:
    """A random square window for each of `count` pictures, and how its pixels come out of the picture's.

    The window, 0.7 to 1 of the side, lies at any fraction of a pixel and is enlarged to the whole side, bilinearly.
    Under LPIPS such windows make visible what AlexNet's stride of 4 hides: patterns with a period of 4 pixels, which an
    x4 network easily makes (random transformations: E-LPIPS, Kettunen et al., 2019).

    Args:
      seed: int32 (2,).

    Returns:
      Weights of rows and of columns, float32 (count, side, side) each, for `see_windows`.
    """
    draws = tf.random.stateless_uniform([3, count, 1], seed)
    scale = _SMALLEST_WINDOW + (1.0 - _SMALLEST_WINDOW) * draws[0]
    pixels = tf.range(side, dtype=tf.float32)

    def weights(draw: tf.Tensor) -> tf.Tensor:
        places = draw * (1.0 - scale) * (side - 1.0) + scale * pixels
        return tf.nn.relu(1.0 - tf.abs(places[:, :, None] - pixels))

    return weights(draws[1]), weights(draws[2])


def see_windows(windows: tuple[tf.Tensor, tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """The windows of `draw_windows` in square (count, side, side, C), enlarged to that size."""
    rows, columns = windows
    return tf.einsum("niy,nyxc,njx->nijc", rows, images, columns)
