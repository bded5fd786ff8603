"""The settings of a training run: `config.py`, with what the command line overrides, checked."""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError

_BOOLS = {"true": True, "false": False, "1": True, "0": False}
_COUNTS = ["META_ITER", "META_BATCH_SIZE", "TASK_ITER", "TASK_BATCH_SIZE", "PRINT_ITER", "SAVE_ITER", "MAX_SKIPPED"]
_LEAST = dict.fromkeys(_COUNTS, 1) | dict.fromkeys(
    ["SEED", "SECOND_ORDER_GRAD_ITER", "KEEP_CHECKPOINTS", "META_LR", "DISCRIMINATOR_LR", "TASK_LR"], 0
)


class Settings(SimpleNamespace):
    """The values of `config.py` under their names there."""

    def __str__(self) -> str:
        return "\n".join(f"{name} = {value!r}" for name, value in vars(self).items())

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        files.write_bytes(path, (json.dumps(vars(self), indent=1) + "\n").encode())


def _parse(name: str, text: str, default: object) -> object:
    """A value of the same type as the one it takes the place of."""
    kind = type(default)
    try:
        return _BOOLS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UserError(f"--set {name}={text}: expected {kind.__name__}, like {default!r}") from None


def _override(values: dict[str, object], assignments: Sequence[str]) -> None:
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment}: expected NAME=VALUE")
        if name not in values:
            close = difflib.get_close_matches(name.upper(), values, 1)
            raise UserError(f"--set {name}: no such name in config.py" + (f"; {close[0]}?" if close else ""))
        values[name] = _parse(name, text, values[name])


def read_settings(config: ModuleType | Mapping[str, object], assignments: Sequence[str] = ()) -> Settings:
    """The values of `config`, overridden.

    Args:
      config: the module `config.py`, or a dict like it: its names in capitals.
      assignments: `NAME=VALUE`, as the command line gives them.

    Raises:
      UserError: an unknown name, a value of another type or out of range.
    """
    found = config if isinstance(config, Mapping) else vars(config)
    values = {name: value for name, value in found.items() if name.isupper()}
    _override(values, assignments)
    for name, least in _LEAST.items():
        if not least <= values[name] < math.inf:  # what is not a number is refused too
            raise UserError(f"{name} = {values[name]}: must be at least {least}")
    if (values["WIDTH"], values["WIDTH1"], values["CHANNEL"]) != (values["HEIGHT"], values["HEIGHT1"], 3):
        raise UserError("config.py: patches are squares of RGB: WIDTH = HEIGHT, WIDTH1 = HEIGHT1 and CHANNEL = 3")
    return Settings(**values)
