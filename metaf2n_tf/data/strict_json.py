"""JSON as it is standardized, out and in.

Out: it knows no infinity and no NaN; they become strings that Python's float() and JavaScript's Number() read. In: what
lies in a folder may be cut off, of another version or a stranger's, so nothing is used before it fits a schema.
"""

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError

NON_FINITE = ("Infinity", "-Infinity", "NaN")
NUMBER = (float, *NON_FINITE)  # the schema of what `plain` makes of a float

_DEEPEST = 50
LONGEST, _LONGEST_LINE = 256 << 20, 8 << 20  # bytes of a file of one value, and of a line
_LONGEST_LINES = 1 << 30  # bytes of a file of lines
_MOST = 1 << 22  # values, which may take 70 bytes for 3 of the file
_LARGEST = 1 << 1000  # of the ints that may stand where a float belongs, all of which a float can be made of


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


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"a number that is too large ({text[:20]}...)")
    return number


def _refuse(token: str) -> None:
    raise ValueError(f"{token}, which is no JSON")


def _check_depth(value: Any, left: int = _DEEPEST) -> None:
    if isinstance(value, dict | list):
        if not left:
            raise ValueError("nested too deeply")
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, left - 1)


def loads(text: str | bytes, schema: Any = object) -> Any:
    """Read JSON that fits a schema.

    Args:
      text: of the whole file, or line.
      schema: a type (float takes ints, int and float take no bool, `object` takes anything); None or a text, which
        stand for themselves; a tuple of schemas, one of which must fit; `[schema]` for a list; `{str: schema}` for a
        dict of any keys; `{"name": schema, "other?": schema}` for one of these keys, of which `other` may be absent,
        and of any further ones; or a function that says whether a value fits.

    Returns:
      The value. Its numbers are finite, and nothing is nested more than 50 deep.

    Raises:
      ValueError: no JSON, or not of this schema; the message is one line.
    """
    marks = map(text.count, "[{,") if isinstance(text, str) else map(text.count, b"[{,")
    if sum(marks) > _MOST:
        raise ValueError("more values than such a file has")
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_refuse)
        _check_depth(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check(value, schema)
    return value


def read(path: Path, schema: Any = object) -> Any:
    """Read a file of one value; see `loads`.

    Raises:
      OSError: it cannot be read, or is larger than such files are; ValueError: as `loads`.
    """
    return loads(files.read_whole(path, LONGEST), schema)


def fitting_lines(path: Path, schema: Any) -> list[Any]:
    """The values of a file of JSON lines, without those lines that do not fit or are longer than such lines are.

    Raises:
      UserError: it cannot be read, or is larger than such files are.
    """
    values, begins = [], True
    try:
        files.check_length(path, _LONGEST_LINES)
        with files.open_regular(path) as stream:
            while line := stream.readline(_LONGEST_LINE):
                whole = begins and (line.endswith(b"\n") or len(line) < _LONGEST_LINE)
                begins = line.endswith(b"\n")
                with contextlib.suppress(ValueError):
                    if whole:
                        values.append(loads(line.decode(errors="replace"), schema))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Remedy: delete it") from None
    return values


def check(value: Any, schema: Any, place: str = "it") -> None:
    """Raise a ValueError that names the place where a value does not fit a schema; see `loads`."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{place} is no object")
        if str in schema:
            for item in value.values():
                check(item, schema[str], f"a value of {place}")
            return
        for name, inner in schema.items():
            key = name.removesuffix("?")
            if key in value:
                check(value[key], inner, key if place == "it" else f"{place}.{key}")
            elif key == name:
                raise ValueError(f"{place} has no {name}")
    elif isinstance(schema, list):
        if not isinstance(value, list):
            raise ValueError(f"{place} is no list")
        for item in value:
            check(item, schema[0], f"one of {place}")
    elif not _fits(value, schema):
        raise ValueError(f"{place} is not what it should be")


def _fits(value: Any, schema: Any) -> bool:
    if isinstance(schema, tuple):
        return any(_fits(value, one) for one in schema)
    if isinstance(schema, dict | list):
        try:
            check(value, schema)
        except ValueError:
            return False
        return True
    if schema is None or isinstance(schema, str):
        return value is None if schema is None else value == schema
    if schema is float and isinstance(value, int):
        schema, value = int, value if abs(value) < _LARGEST else None
    if isinstance(schema, type):
        return isinstance(value, schema) and (schema in (bool, object) or not isinstance(value, bool))
    return bool(schema(value))
