"""What decides the pixels of a result, read off a command's options: every flag does, unless its field says otherwise.

The one list of such settings: records, reruns, reports and what an experiment's measurements have in common come of it.
"""

import dataclasses
from typing import Any

from metaf2n_tf import __version__
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.model import MetaF2N

_ROLE = "role"
APART = {_ROLE: "apart"}  # decides no pixel: places, and what is done beside the pictures
BY_CONTENT = {_ROLE: "by content"}  # names what decides: its content counts, not its name
VARIED = {_ROLE: "varied"}  # by an experiment, which names it for each measurement
_OF_THE_RUN = ("tile_pad", "weights", "weights_kind", "device", "mode", "version")


def _names_of_role(options: Any, role: str | None) -> list[str]:
    return [field.name for field in dataclasses.fields(options) if field.metadata.get(_ROLE) == role]


def _of_role(options: Any, role: str | None) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _names_of_role(options, role)}


def settings_of(options: Any, model: MetaF2N, faces: FaceSource | None, device: str) -> dict[str, Any]:
    """Every setting that decides the pixels.

    Args:
      options: a dataclass; the `metadata` of fields that do not decide by their value is one of the roles here.
      model: with the weights that the options name.
      faces: None where no face is looked for.
      device: its kind, "GPU" or "CPU".

    Returns:
      The options' own, defaults filled in; what the faces come of; identity of the weights; kind of device.
    """
    settings = _of_role(options, None) | (faces.settings if faces else dict.fromkeys(FaceSource.SETTINGS))
    if "task_lr" in settings:
        settings["task_lr"] = settings["task_lr"] or model.weights.task_lr_on_record
    weights = model.weights
    of_the_run = (model.tile_pad, weights.identity, weights.kind, device, model.mode, __version__)
    return settings | dict(zip(_OF_THE_RUN, of_the_run, strict=True))


def names_of(options: Any) -> dict[str, str | None]:
    """What the user called the things that count by their content, for records."""
    return {name: None if value is None else str(value) for name, value in _of_role(options, BY_CONTENT[_ROLE]).items()}


def names_on_record(options: Any) -> list[str]:
    """The keys that `names_of` and then `settings_of` give a record, in their order, for a dataclass or one of it."""
    own = [*_names_of_role(options, BY_CONTENT[_ROLE]), *_names_of_role(options, None)]
    return list(dict.fromkeys([*own, *FaceSource.SETTINGS, *_OF_THE_RUN]))
