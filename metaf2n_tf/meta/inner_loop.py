"""The inner loop of MetaF2N (paper section 3.2): SGD steps of the SR network on (LQ, restored) face patches.

One definition for training and testing. Nothing here holds state: weights go in, new weights come out, and every
function can be differentiated, compiled, or unrolled to any number of steps.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks import masknet, sr

Params = Mapping[str, tf.Tensor]
Rates = tf.Tensor | float | Mapping[str, tf.Tensor | np.ndarray]  # one for all variables, or one for each
Forward = Callable[[Params, tf.Tensor], tf.Tensor]


class Adapted(NamedTuple):
    """What `adapt` returns."""

    params: list[Params]  # fast weights after each step, so params[-1] are the adapted ones
    losses: list[tf.Tensor]  # inner loss before each step, scalars
    weight_map: tf.Tensor  # W, (N, 4H, 4W, 1)


def predict_weight_map(mask_params: Params | None, lq: tf.Tensor, hq: tf.Tensor) -> tf.Tensor:
    """W = MaskNet(bicubic_x4(lq), hq), float32 (N, 4H, 4W, 1); all ones where there is no MaskNet."""
    if mask_params is None:
        return tf.ones_like(hq[:, :, :, :1])
    return masknet.forward(mask_params, lq, hq)


def inner_loss(
    params: Params,
    weight_map: tf.Tensor,
    lq: tf.Tensor,
    hq: tf.Tensor,
    forward: Forward = sr.forward,
) -> tf.Tensor:
    """mean(W * |hq - SR(lq)|), a scalar; lq (N, H, W, 3) and hq (N, 4H, 4W, 3), RGB in [0, 1]."""
    return tf.reduce_mean(weight_map * tf.abs(hq - forward(params, lq)))


def inner_gradient(
    params: Params,
    weight_map: tf.Tensor,
    lq: tf.Tensor,
    hq: tf.Tensor,
    forward: Forward = sr.forward,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The inner loss and its gradient in every SR weight (MaskNet's weights are not adapted)."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        loss = inner_loss(params, weight_map, lq, hq, forward)
    return loss, cast(dict[str, tf.Tensor], tape.gradient(loss, params))


def sgd_update(params: Params, gradient: Params, task_lr: Rates) -> dict[str, tf.Tensor]:
    """theta - task_lr * gradient, as a new dict."""
    rates = task_lr if isinstance(task_lr, Mapping) else dict.fromkeys(params, task_lr)
    return {name: value - rates[name] * gradient[name] for name, value in params.items()}


def adapt(
    params: Params,
    mask_params: Params | None,
    lq: tf.Tensor,
    hq: tf.Tensor,
    task_lr: Rates,
    num_steps: int,
    first_order: bool = False,
    forward: Forward = sr.forward,
) -> Adapted:
    """Unrolled inner loop.

    Args:
      params: SR weights, float32, left as they are.
      mask_params: MaskNet weights, or None for W = 1.
      lq: float32 (N, H, W, 3), LQ face patches, RGB in [0, 1].
      hq: float32 (N, 4H, 4W, 3), restored face patches, RGB in [0, 1].
      task_lr: learning rate of plain SGD (TASK_LR), or one for each variable (Meta-SGD, Li et al., 2017).
      num_steps: number of steps, >= 1.
      first_order: stop the gradient of the inner gradient, for first-order meta-learning.
      forward: the SR network.

    Returns:
      Weights after each step, loss before each step, and W.
    """
    weight_map = predict_weight_map(mask_params, lq, hq)
    trajectory, losses = [], []
    for _ in range(num_steps):
        loss, gradient = inner_gradient(params, weight_map, lq, hq, forward)
        if first_order:
            gradient = tf.nest.map_structure(tf.stop_gradient, gradient)
        params = sgd_update(params, gradient, task_lr)
        trajectory.append(params)
        losses.append(loss)
    return Adapted(trajectory, losses, weight_map)
