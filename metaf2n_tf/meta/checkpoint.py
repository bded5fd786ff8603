"""Training checkpoints, `CHECKPOINT_DIR/ModelN/model-STEP`: the published format, with Adam's state, both ways.

The published code resumes from what is written here, and this resumes from what it wrote.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metaf2n_tf.meta.adam import AdamState, initial_state
from metaf2n_tf.meta.meta_step import TrainingState, tensors
from metaf2n_tf.networks import discriminator, masknet
from metaf2n_tf.weights import tf1_checkpoint, training_folder
from metaf2n_tf.weights.check import check_variables
from metaf2n_tf.weights.discriminator import discriminator_shapes
from metaf2n_tf.weights.load import has_scope, mask_shapes, rate_shapes, sr_shapes

_ADAM_SUFFIXES = {"generator_adam": "", "discriminator_adam": "_1"}  # of the powers, as TF1 numbers its optimizers


def to_variables(state: TrainingState, step: int, first_order: bool) -> dict[str, np.ndarray]:
    """`{name: array}` of everything that the published `Saver` saves."""
    variables = {**state.generator, **state.discriminator}
    for field, suffix in _ADAM_SUFFIXES.items():
        adam = getattr(state, field)
        if adam.first:
            variables |= training_folder.moments_to_variables(adam.first, adam.second)
            variables |= {f"beta1_power{suffix}": adam.beta1_power, f"beta2_power{suffix}": adam.beta2_power}
    arrays = {name: np.asarray(value) for name, value in variables.items()}
    return arrays | {"global_step": np.int32(step), "stop_grad": np.bool_(first_order)}


def from_variables(source: str, found: Mapping[str, np.ndarray]) -> TrainingState:
    """The state that a checkpoint's variables hold; without a discriminator where it has none.

    Raises:
      UserError: a variable is missing or of another shape, as in a checkpoint for testing only.
    """
    weights = sr_shapes(source, found)
    mask = mask_shapes(found) if has_scope(found, masknet.SCOPE) else {}
    generator = weights | mask | rate_shapes(found, weights)
    discriminator_variables = discriminator_shapes(source, found) if has_scope(found, discriminator.SCOPE) else {}
    trained = {"generator_adam": generator, "discriminator_adam": discriminator.trained(discriminator_variables)}
    states = {}
    for field, suffix in _ADAM_SUFFIXES.items():
        if not trained[field]:
            states[field] = initial_state({})
            continue
        powers = check_variables(source, found, {f"beta{index}_power{suffix}": () for index in (1, 2)})
        moments = training_folder.moments_from_variables(source, found, trained[field])
        (first, second), (beta1_power, beta2_power) = map(tensors, moments), tensors(powers).values()
        states[field] = AdamState(first, second, beta1_power, beta2_power)
    networks = (check_variables(source, found, shapes) for shapes in (generator, discriminator_variables))
    generator_weights, discriminator_weights = map(tensors, networks)
    return TrainingState(generator_weights, discriminator_weights, **states)


def folder(checkpoint_dir: str, trial: int) -> Path:
    """`CHECKPOINT_DIR/ModelN`."""
    return Path(checkpoint_dir, f"Model{trial}")


def save(place: Path, state: TrainingState, step: int, first_order: bool, keep: int) -> Path:
    """Write `model-STEP` and, only then, delete all but the newest `keep` (0: none).

    Raises:
      UserError: the disk is full, or the place cannot be written to.
    """
    return training_folder.save(place, step, to_variables(state, step, first_order), keep)


def restore(prefix: Path) -> TrainingState:
    """Read a training checkpoint, ours or a published one.

    Raises:
      UserError: not there, damaged, or without the state of training.
    """
    return from_variables(str(prefix), tf1_checkpoint.read_checkpoint(prefix))
