"""The settings of a training run: `config.py`, with what the command line overrides, checked."""

import difflib
import math
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from metaf2n_tf.errors import Argument, UserError

OUTER_TARGETS = ("sharpened", "plain")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}
_WHOLE = (
    {  # name: (least value, of which it must be a multiple)
        "HEIGHT": (4, 4),
        "HEIGHT1": (32, 8),  # for AlexNet and the discriminator
        "SEED": (0, 1),
        "SECOND_ORDER_GRAD_ITER": (0, 1),
        "KEEP_CHECKPOINTS": (0, 1),
    }
    | dict.fromkeys(
        ["META_ITER", "META_BATCH_SIZE", "TASK_ITER", "TASK_BATCH_SIZE", "PRINT_ITER", "SAVE_ITER", "MAX_SKIPPED"],
        (1, 1),
    )
    | {"MASK_WIDTH": (1, 1)}
)
_NUMBERS = ["META_LR", "META_LR_DECAY", "DISCRIMINATOR_LR", "TASK_LR", "RATE_LR", "CLIP_NORM", "MASK_BIAS"]
_NUMBERS += ["L1_WEIGHT", "LPIPS_WEIGHT", "GAN_WEIGHT", "MASK_WEIGHT", "UNADAPTED_WEIGHT"]
_FLAGS = ["SHARED_NOISE", "LPIPS_WINDOWS", "DECAY_STEP_WEIGHTS", "INNER_LOOP", "LEARN_TASK_LR", "CONTEXT_BRANCH"]
_TEXTS = ["TFRECORD_PATH0", "TFRECORD_PATH1", "RESTORER", "SR_WEIGHTS", "DISCRIMINATOR_WEIGHTS", "LPIPS_WEIGHTS"]
_TEXTS += ["SR_BLEND", "EXEMPLAR_DIR", "CHECKPOINT_DIR", "LOG_DIR"]


class Settings(SimpleNamespace):
    """The values of `config.py` under their names there."""


def _parse(name: str, text: str, default: Any) -> Any:
    """A value of the same type as the one it takes the place of."""
    kind = type(default)
    try:
        return _BOOLS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UserError(Argument("set", f"{name}={text}"), f": expected {kind.__name__}, like {default!r}") from None


def _override(values: dict[str, Any], assignments: Sequence[str]) -> None:
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(Argument("set", assignment), ": expected NAME=VALUE")
        if name not in values:
            close = difflib.get_close_matches(name.upper(), values, 1)
            raise UserError(Argument("set", name), ": no such name in config.py", f"; {close[0]}?" if close else "")
        values[name] = _parse(name, text, values[name])


def _check(values: Mapping[str, Any]) -> None:
    def check(name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise UserError(f"{name} = {values.get(name)!r}: expected {expected}")

    for name, (least, unit) in _WHOLE.items():
        value = values.get(name)
        fine = isinstance(value, int) and not isinstance(value, bool) and value >= least and value % unit == 0
        check(name, fine, f"a whole number of at least {least}" + (f", a multiple of {unit}" if unit > 1 else ""))
    for name in _NUMBERS:
        value = values.get(name)
        check(name, isinstance(value, int | float) and 0 <= value < math.inf, "a number of at least 0")
    for name in _TEXTS:
        check(name, isinstance(values.get(name), str), "text")
    for name in _FLAGS:
        check(name, isinstance(values.get(name), bool), "True or False")
    check("OUTER_TARGET", values.get("OUTER_TARGET") in OUTER_TARGETS, " or ".join(OUTER_TARGETS))
    check("META_LR_DECAY", values["META_LR_DECAY"] <= 1, "a number from 0 to 1")
    if values["LEARN_TASK_LR"]:
        check("TASK_LR", values["TASK_LR"] > 0, "more than 0 where rates are learned")
    for name, other in (("WIDTH", "HEIGHT"), ("WIDTH1", "HEIGHT1")):
        check(name, values.get(name) == values[other], f"{other}, {values[other]}, as patches are squares")
    check("CHANNEL", values.get("CHANNEL") == 3, "3, as pictures are RGB")


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
    _check(values)
    return Settings(**values)
