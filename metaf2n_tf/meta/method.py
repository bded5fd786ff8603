"""The numbers of the method that a meta-step computes with: those of `config.py`, under its names in small letters."""

import dataclasses
from dataclasses import dataclass

from metaf2n_tf.meta.losses import PUBLISHED_WEIGHTS, LossWeights
from metaf2n_tf.meta.settings import Settings


@dataclass(frozen=True)
class Method:
    """Where a default stands, it is the published number.

    meta_batch_size: tasks of a whole meta-batch; task_lr, task_iter: of the inner loop, whose rates are those of the
    state where it has learned ones; meta_lr, discriminator_lr: of the two Adam optimizers; meta_lr falls to its share
    meta_lr_decay along a half cosine of meta_iter steps (1: it stays); rate_lr: Adam's for the logarithms of learned
    rates; loss_weights: of the outer loss; lpips_windows: LPIPS is that of random windows (`losses.draw_windows`),
    which the task's pixels draw; inner_loop: False trains plainly, on the same batches with the same losses; clip_norm:
    longest gradient of the generator, a longer one is shortened (0: any); decay_step_weights: whether MZSR's weights of
    the inner steps move on with the step number.
    """

    meta_batch_size: int
    task_lr: float
    task_iter: int
    meta_lr: float
    discriminator_lr: float
    meta_lr_decay: float = 1.0
    meta_iter: int = 1
    rate_lr: float = 1e-2
    loss_weights: LossWeights = PUBLISHED_WEIGHTS
    lpips_windows: bool = False
    inner_loop: bool = True
    clip_norm: float = 0.0
    decay_step_weights: bool = True


def read_method(settings: Settings) -> Method:
    """The method of a training run."""
    weights = LossWeights(*(getattr(settings, f"{name.upper()}_WEIGHT") for name in LossWeights._fields))
    names = {field.name for field in dataclasses.fields(Method)} - {"loss_weights"}
    return Method(loss_weights=weights, **{name: getattr(settings, name.upper()) for name in names})
