"""Values as strict JSON has them. It knows no infinity and no NaN; they become strings that Python's float() and
JavaScript's Number() read."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

NON_FINITE = ("Infinity", "-Infinity", "NaN")


def plain(value: Any) -> Any:
    """The value in types that JSON has: numbers without a token as their `NON_FINITE` string, others as `str`."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
