"""How counts and lists of names read in a sentence."""

from collections.abc import Iterable
from pathlib import PurePath

_SHOWN_NAMES = 10


def counted(count: int, one: str, many: str) -> str:
    """`(1, "photo is", "photos are")` -> `"1 photo is"`."""
    return f"{count} {one if count == 1 else many}"


def some_names(paths: Iterable[PurePath]) -> str:
    """How many there are, and the first of them: `(12): a.png, b.png, ...`."""
    names = [path.as_posix() for path in paths]
    return f"({len(names)}): {', '.join(names[:_SHOWN_NAMES])}{', ...' if len(names) > _SHOWN_NAMES else ''}"
