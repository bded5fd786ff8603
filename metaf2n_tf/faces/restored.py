"""A face of a photo with its restoration, and the photo that faces are of, for restorers that must know."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metaf2n_tf.faces.detect import Face
from metaf2n_tf.tiles import Area

Pair = tuple[np.ndarray, np.ndarray]  # an LQ face and its HQ one, uint8 (h, w, 3) and (4h, 4w, 3) RGB


class PlacedFace(NamedTuple):
    """lq, hq: as in `Pair`; place: where the LQ face lies in its photo, None where that is not known."""

    lq: np.ndarray
    hq: np.ndarray
    place: Area | None

    @property
    def pair(self) -> Pair:
        """LQ and HQ."""
        return self.lq, self.hq


class Source(NamedTuple):
    """name: relative to the folder of photos; faces: how many were found in it, used or not."""

    name: Path
    faces: int


@dataclass(frozen=True)
class RestoredFace:
    """A face of a photo and its restoration.

    lq: uint8 (h, w, 3), cut from the photo; hq: uint8 (4h, 4w, 3), restored; aligned: the squares that the restorer
    took and gave, uint8 (S, S, 3) each, None for a restorer that needs no alignment.
    """

    face: Face
    lq: np.ndarray
    hq: np.ndarray
    aligned: tuple[np.ndarray, np.ndarray] | None = None


# uint8 (H, W, 3), its faces, and where they are from, in; those that could be restored out.
PhotoRestorer = Callable[[np.ndarray, list[Face], Source], list[RestoredFace]]
