"""Checkpoints of KDFSRNet's training, `FOLDER/model-STEP`: TensorFlow bundles under the network's published names.

With Adam's moments (`NAME/Adam`, `NAME/Adam_1`, as TensorFlow 1 calls them) and the place in the data, so that a run
that goes on from one gives what it would have given without a break.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from metaf2n_tf.distillation.step import State
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.networks.kdfsrnet import Architecture
from metaf2n_tf.weights import tf1_checkpoint, training_folder
from metaf2n_tf.weights.check import check_variables


class Progress(NamedTuple):
    """step: steps done; epoch: epochs done; records: of the current epoch, used already; steps, loss: of the current
    epoch so far, `loss` being the sum of the total losses."""

    step: int = 0
    epoch: int = 0
    records: int = 0
    steps: int = 0
    loss: float = 0.0


def save(place: Path, state: State, progress: Progress, keep: int) -> Path:
    """Write `model-STEP` and, only then, delete all but the newest `keep` (0: none).

    Raises:
      UserError: the disk is full, or the place cannot be written to.
    """
    variables = {**state.params, **training_folder.moments_to_variables(state.first, state.second)}
    numbers = {f"progress/{name}": value for name, value in progress._asdict().items()} | {"updates": state.updates}
    variables |= {
        name: np.asarray(value, np.float64 if name == "progress/loss" else np.int64) for name, value in numbers.items()
    }
    return training_folder.save(place, progress.step, variables, keep)


def restore(prefix: Path, architecture: Architecture) -> tuple[State, Progress]:
    """Read a checkpoint of training.

    Raises:
      UserError: damaged, of another network, or without the state of training.
    """
    found = tf1_checkpoint.read_checkpoint(prefix)
    kernel = found.get("head.0.weight")
    if kernel is None or kernel.ndim != 4:
        raise UserError(f"{prefix}: variable head.0.weight is missing or no kernel, so this is not KDFSRNet")
    here = kdfsrnet.architecture_of(found)
    if here != architecture:
        raise UserError(
            f"{prefix}: is a network of {_in_words(here)}, expected {_in_words(architecture)}. Remedy: another ",
            Argument("output_dir"),
        )
    shapes = kdfsrnet.variable_shapes(architecture)
    params = check_variables(str(prefix), found, shapes)
    first, second = training_folder.moments_from_variables(str(prefix), found, shapes)
    fields = [f"progress/{name}" for name in Progress._fields]
    for name in (*fields, "updates"):
        if name not in found or found[name].shape != ():
            raise UserError(f"{prefix}: {name} is missing, so training cannot go on from it")
        kind = np.floating if name == "progress/loss" else np.integer
        if not np.issubdtype(found[name].dtype, kind) or not np.isfinite(found[name]) or found[name] < 0:
            raise UserError(f"{prefix}: {name} is {found[name]}, so training cannot go on from it")
    numbers = [found[name].item() for name in fields]
    return State(params, first, second, found["updates"].item()), Progress(*numbers)


def _in_words(architecture: Architecture) -> str:
    return "{} channels in, width {}, {} blocks".format(*architecture)
