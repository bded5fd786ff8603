"""A meta-training that is small enough for tests: tiny networks, drawn weights and pictures."""

import numpy as np
import recipe
import tensorflow as tf
from conftest import make_tiny_sr

from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.meta.meta_step import MetaStep, TrainingState, initial_state
from metaf2n_tf.metrics import lpips
from metaf2n_tf.networks import discriminator, masknet


def lpips_params() -> dict[str, np.ndarray]:
    """Drawn weights: every test that needs the real ones takes them from weights/."""
    return recipe.weights(lpips.variable_shapes(), 1, "tf")


def state(seed: int = 0) -> TrainingState:
    mask = masknet.initial_params(seed)
    mask["Mask/conv8/bias"] = np.float32([0.05])
    return initial_state(make_tiny_sr() | mask, discriminator.initial_params(seed, width=8))


def batch(tasks: int = 2, pairs: int = 1, face: int = 32, background: int = 64) -> MetaBatch:
    sizes = [face // 4, face, background // 4, background, face, background]
    pictures = [
        recipe.image((tasks, pairs, size, size, 3), seed) for seed, size in zip((1, 2, 3, 4, 2, 4), sizes, strict=True)
    ]
    return MetaBatch(*map(tf.constant, pictures))


def meta_step(**options) -> MetaStep:
    settings = dict(
        lpips_params=lpips_params(),
        meta_batch_size=2,
        task_lr=1e-2,
        task_iter=1,
        meta_lr=1e-4,
        discriminator_lr=1e-4,
        xla=False,
    )
    return MetaStep(**{**settings, **options})
