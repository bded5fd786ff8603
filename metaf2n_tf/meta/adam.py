"""Adam (Kingma & Ba, 2015) as TensorFlow 1's `AdamOptimizer` computes it, as a function of its state."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

BETA1, BETA2, EPSILON = np.float32(0.9), np.float32(0.999), 1e-8  # 1 - BETA2 too is rounded to float32, as in TF1

Params = Mapping[str, tf.Tensor]


class AdamState(NamedTuple):
    """Moments by variable, and the powers of the betas that the next update will use (both as TF1 stores them)."""

    first: Params
    second: Params
    beta1_power: tf.Tensor
    beta2_power: tf.Tensor


def initial_state(params: Params) -> AdamState:
    """Zero moments, before the first update."""
    first, second = ({name: tf.zeros_like(value) for name, value in params.items()} for _ in range(2))
    return AdamState(first, second, tf.constant(BETA1), tf.constant(BETA2))


@tf.function(autograph=False)  # traced once for each shape, and called for each variable
def _update_one(
    value: tf.Tensor, gradient: tf.Tensor, first: tf.Tensor, second: tf.Tensor, rate: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    first += (1 - BETA1) * (gradient - first)
    second += (1 - BETA2) * (gradient * gradient - second)
    return value - rate * first / (tf.sqrt(second) + EPSILON), first, second


def update(
    params: Params,
    gradient: Params,
    state: AdamState,
    learning_rate: tf.Tensor | float | Mapping[str, tf.Tensor | float],
) -> tuple[dict[str, tf.Tensor], AdamState]:
    """One update; epsilon stands outside the bias correction ("epsilon hat" in the paper).

    Args:
      params, gradient: float32 tensors by name.
      state: before the update.
      learning_rate: before bias correction; one for all variables, or one for each.

    Returns:
      New parameters and new state.
    """
    correction = tf.sqrt(1.0 - state.beta2_power) / (1.0 - state.beta1_power)
    new, first, second = {}, {}, {}
    for name, g in gradient.items():
        rate = (learning_rate[name] if isinstance(learning_rate, Mapping) else learning_rate) * correction
        new[name], first[name], second[name] = _update_one(params[name], g, state.first[name], state.second[name], rate)
    return new, AdamState(first, second, state.beta1_power * BETA1, state.beta2_power * BETA2)
