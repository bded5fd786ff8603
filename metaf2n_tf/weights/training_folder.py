"""The folder of a training: settings, and checkpoints `model-STEP` with Adam's moments as TensorFlow 1 names them."""

import json
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files, strict_json
from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.errors import UserError, one_line
from metaf2n_tf.weights import tf1_checkpoint
from metaf2n_tf.weights.check import check_variables

logger = logging.getLogger(__name__)

_SLOTS = ("Adam", "Adam_1")
_LAST = 2**31 - 1  # step, which is an int32 in the published checkpoints


def moments_to_variables(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adam's moments, `{variable: array}` each, as `{variable/Adam: array, variable/Adam_1: array}`."""
    slots = zip(_SLOTS, (first, second), strict=True)
    return {f"{name}/{slot}": value for slot, moments in slots for name, value in moments.items()}


def moments_from_variables(
    source: str, found: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> list[dict[str, np.ndarray]]:
    """Adam's first and second moments of the variables of these shapes, `{variable: array}` each.

    Raises:
      UserError: one is missing or of another shape, as in a checkpoint for testing only.
    """
    wanted = [{f"{name}/{slot}": shape for name, shape in shapes.items()} for slot in _SLOTS]
    slots = [check_variables(source, found, names) for names in wanted]
    return [{name.rpartition("/")[0]: value for name, value in slot.items()} for slot in slots]


def _steps(place: Path) -> dict[int, Path]:
    """`{step: prefix}` of the checkpoints in a folder, in order."""
    found = {}
    for index in place.glob("model-*.index"):
        if (number := re.fullmatch(r"model-(\d+)", index.stem)) and int(number[1]) <= _LAST:
            found[int(number[1])] = index.with_suffix("")
    return dict(sorted(found.items()))


def newest(place: Path) -> tuple[int, Path] | None:
    """Step and prefix of the checkpoint that the file `checkpoint` names, else of the one with the highest number.

    Raises:
      UserError: that file names a checkpoint which is not there.
    """
    if (place / "checkpoint").is_file() and (prefix := tf1_checkpoint.resolve_prefix(place)):
        numbers = re.findall(r"\d+", prefix.name)
        if not numbers or int(numbers[-1]) > _LAST:
            raise UserError(f"{prefix}: its name does not end with the step, like model-1000")
        return int(numbers[-1]), prefix
    return max(_steps(place).items(), default=None)


def save(place: Path, step: int, variables: Mapping[str, np.ndarray], keep: int) -> Path:
    """Write `model-STEP` and, only then, delete all but the newest `keep` (0: none).

    Raises:
      UserError: the disk is full, or the place cannot be written to.
    """
    for part in place.glob(".model-*.part*"):  # of a run that was killed while it wrote
        files.remove(part)
    for data in place.glob("model-*.data-00000-of-00001"):  # of one that was killed while it deleted
        if re.fullmatch(r"model-\d+", data.stem) and not data.with_suffix(".index").is_file():
            files.remove(data)
    prefix = place / f"model-{step}"
    older = [path for number, path in _steps(place).items() if number < step]
    replaced = older[: max(0, len(older) + 1 - keep)] if keep else []
    tf1_checkpoint.write_checkpoint(prefix, variables, replaced)
    return prefix


def save_settings(file: Path, settings: Mapping[str, object], may_differ: Collection[str] = ()) -> None:
    """Keep the settings beside the checkpoints, and say where they are not those of before.

    Args:
      file: to be written.
      settings: of this run.
      may_differ: names that are nothing to speak of.

    Raises:
      UserError: the file of before cannot be read, or this one not written.
    """
    settings = plain(settings)
    try:
        before = strict_json.read(file, {str: object}) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read: {error}. Remedy: delete it") from None
    for name, value in settings.items():
        if name not in may_differ and name in before and before[name] != value:
            logger.info(f"{name} was {one_line(repr(before[name]))} up to here and is {value!r} now")
    files.write_bytes(file, (json.dumps(settings, indent=1) + "\n").encode())
