"""Training checkpoints, `CHECKPOINT_DIR/ModelN/model-STEP`: the published format, with Adam's state, both ways.

The published code resumes from what is written here, and this resumes from what it wrote.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.meta.adam import AdamState
from metaf2n_tf.meta.meta_step import TrainingState
from metaf2n_tf.networks import discriminator, masknet
from metaf2n_tf.weights import tf1_checkpoint
from metaf2n_tf.weights.check import check_variables
from metaf2n_tf.weights.discriminator import discriminator_shapes
from metaf2n_tf.weights.load import sr_shapes

_ADAM_SUFFIXES = {"generator_adam": "", "discriminator_adam": "_1"}  # of the powers, as TF1 numbers its optimizers


def to_variables(state: TrainingState, step: int, first_order: bool) -> dict[str, np.ndarray]:
    """`{name: array}` of everything that the published `Saver` saves."""
    variables = {**state.generator, **state.discriminator}
    for field, suffix in _ADAM_SUFFIXES.items():
        adam = getattr(state, field)
        variables |= {f"{name}/Adam": value for name, value in adam.first.items()}
        variables |= {f"{name}/Adam_1": value for name, value in adam.second.items()}
        variables |= {f"beta1_power{suffix}": adam.beta1_power, f"beta2_power{suffix}": adam.beta2_power}
    arrays = {name: np.asarray(value) for name, value in variables.items()}
    return arrays | {"global_step": np.int32(step), "stop_grad": np.bool_(first_order)}


def from_variables(source: str, found: Mapping[str, np.ndarray]) -> TrainingState:
    """The state that a checkpoint's variables hold, as arrays.

    Raises:
      UserError: a variable is missing or of another shape, as in a checkpoint for testing only.
    """
    generator = sr_shapes(source, found) | masknet.variable_shapes()
    judge = discriminator_shapes(source, found)
    trained = {"generator_adam": generator, "discriminator_adam": discriminator.trained(judge)}
    states = {}
    for field, suffix in _ADAM_SUFFIXES.items():
        moments = [
            check_variables(source, found, {f"{name}/{slot}": shape for name, shape in trained[field].items()})
            for slot in ("Adam", "Adam_1")
        ]
        powers = check_variables(source, found, {f"beta{index}_power{suffix}": () for index in (1, 2)})
        first, second = ({name.rpartition("/")[0]: value for name, value in slot.items()} for slot in moments)
        states[field] = AdamState(first, second, *powers.values())
    return TrainingState(check_variables(source, found, generator), check_variables(source, found, judge), **states)


def folder(checkpoint_dir: str, trial: int) -> Path:
    """`CHECKPOINT_DIR/ModelN`."""
    return Path(checkpoint_dir, f"Model{trial}")


def _steps(place: Path) -> dict[int, Path]:
    """`{step: prefix}` of the checkpoints in a folder, in order."""
    found = {}
    for index in place.glob("model-*.index"):
        if number := re.fullmatch(r"model-(\d+)", index.stem):
            found[int(number[1])] = index.with_suffix("")
    return dict(sorted(found.items()))


def newest(place: Path) -> tuple[int, Path] | None:
    """Step and prefix of the checkpoint that the file `checkpoint` names, else of the one with the highest number.

    Raises:
      UserError: that file names a checkpoint which is not there.
    """
    if (place / "checkpoint").is_file():
        prefix = tf1_checkpoint.resolve_prefix(place)
        numbers = re.findall(r"\d+", prefix.name)
        if not numbers:
            raise UserError(f"{prefix}: its name does not end with the step, like model-1000")
        return int(numbers[-1]), prefix
    return max(_steps(place).items(), default=None)


def save(place: Path, state: TrainingState, step: int, first_order: bool, keep: int) -> Path:
    """Write `model-STEP` and, only then, delete all but the newest `keep` (0: none).

    Raises:
      UserError: the disk is full, or the place cannot be written to.
    """
    for part in place.glob(".model-*.part*"):  # of a run that was killed while it wrote
        part.unlink()
    prefix = place / f"model-{step}"
    older = [path for number, path in _steps(place).items() if number < step]
    replaced = older[: max(0, len(older) + 1 - keep)] if keep else []
    tf1_checkpoint.write_checkpoint(prefix, to_variables(state, step, first_order), replaced)
    return prefix


def restore(prefix: Path) -> TrainingState:
    """Read a training checkpoint, ours or a published one.

    Raises:
      UserError: not there, damaged, or without the state of training.
    """
    return from_variables(str(prefix), tf1_checkpoint.read_checkpoint(prefix))
