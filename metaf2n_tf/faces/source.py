"""The photo that faces are of, for restorers that must know."""

from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """name: relative to the folder of photos; faces: how many were found in it, used or not."""

    name: Path
    faces: int
