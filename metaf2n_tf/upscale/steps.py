"""How far a photo is adapted: numbers of steps, or `auto`, which chooses one, and the strength of what they change."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from metaf2n_tf.errors import Argument, UserError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Steps = int | str  # a number of steps, or "auto:N": the best of 0 to N

_AUTO_MOST = 10


def is_auto(asked: Steps) -> "TypeIs[str]":
    """Whether the number of steps is to be chosen."""
    return isinstance(asked, str)


def most_steps(asked: Sequence[Steps]) -> int:
    """The largest number of steps that any of these may take."""
    return max(int(steps.partition(":")[2]) if is_auto(steps) else steps for steps in asked)


def parse_steps(text: str) -> list[Steps]:
    """`"0,1,auto"` -> `[0, 1, "auto:10"]`: distinct numbers in the given order, and at most one `auto` or `auto:N`.

    Raises:
      UserError: anything else.
    """
    asked: list[Steps] = []
    try:
        for part in text.split(","):
            auto = re.fullmatch(r"auto(?::([1-9]\d*))?", part.strip())
            asked.append(f"auto:{auto[1] or _AUTO_MOST}" if auto else int(part))
    except ValueError:
        asked = [-1]
    numbers = [steps for steps in asked if not is_auto(steps)]
    if min(numbers, default=0) < 0 or len(set(numbers)) < len(numbers) or len(asked) > len(numbers) + 1:
        raise UserError(
            Argument("fine_tune_num", text),
            ": expected a number, or distinct numbers like 0,1,5; or auto, or auto:N",
        )
    return asked


def step_label(steps: Steps) -> str:
    """What the picture after so many steps is called."""
    if is_auto(steps):
        return "auto"
    return {0: "unadapted", 1: "1 step"}.get(steps, f"{steps} steps")


def label(steps: Steps, strength: float) -> str:
    """The same of a picture for which these steps' change was applied so strongly."""
    return step_label(steps) if strength == 1 or steps == 0 else f"{step_label(steps)}, strength {strength:g}"


def check_task_lr(rates: Sequence[float]) -> None:
    """Raise a UserError for learning rates that cannot be."""
    for rate in rates:
        if not 0 < rate < math.inf:
            raise UserError(Argument("task_lr", f"{rate:g}"), ": a positive number")


def check_strength(strengths: Sequence[float]) -> None:
    """Raise a UserError for strengths that cannot be."""
    for strength in strengths:
        if not 0 <= strength <= 1:
            raise UserError(
                Argument("strength", f"{strength:g}"), ": from 0, the unadapted weights, to 1, the adapted ones"
            )
    if not strengths or len({f"{strength:g}" for strength in strengths}) < len(strengths):
        raise UserError(Argument("strength"), ": expected a number, or several that differ in their first 6 digits")
