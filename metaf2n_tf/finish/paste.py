"""Restored faces in the x4 picture, each under an ellipse whose rim fades."""

from collections.abc import Sequence

import numpy as np

from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces.restored import PlacedFace
from metaf2n_tf.finish.strips import strips
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.tiles import times_scale

_FEATHER = 0.3  # of the ellipse's radius, from its rim inwards: there opacity rises from 0 to 1
_BEYOND = 0.25  # of a side that lies at the photo's border: how far the ellipse reaches out there, so as not to fade


def check_strength(strength: float) -> None:
    """Raise a UserError for an opacity that cannot be."""
    if not 0 <= strength <= 1:
        raise UserError(Argument("paste_strength", f"{strength:g}"), ": from 0, no face, to 1, nothing beneath it")


def _along(part: slice, length: int) -> np.ndarray:
    """Where the x4 pixels of a face's rows or columns lie between the ends of the ellipse's axis, -1 and 1; float32."""
    beyond = _BEYOND * (part.stop - part.start)
    first = part.start - (beyond if part.start == 0 else 0)
    last = part.stop + (beyond if part.stop == length else 0)
    centres = (np.arange(SCALE * part.start, SCALE * part.stop, dtype=np.float32) + 0.5) / SCALE
    return (2 * centres - (first + last)) / (last - first)


def _opacity(down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """float32 (h, w, 1) in [0, 1] where `_along` gives (h,) and (w,): 0 at the ellipse and outside."""
    rising = np.clip((1 - np.hypot(down[:, None], across)) / _FEATHER, 0, 1)
    return (rising * rising * (3 - 2 * rising))[..., None]


def paste(levels: np.ndarray, faces: Sequence[PlacedFace], strength: float) -> np.ndarray:
    """Lay the restored faces over a result, the smaller ones first.

    Args:
      levels: uint8 or uint16 (4H, 4W, 3) RGB.
      faces: of the photo; those whose place is not known are left out.
      strength: opacity in the middle of a face, 0 to 1.

    Returns:
      New levels; those given where there is nothing to lay over.
    """
    placed = [(face.hq, face.place) for face in faces if face.place is not None]
    if not placed or strength == 0:
        return levels
    pasted, top = levels.copy(), np.float32(np.iinfo(levels.dtype).max)
    for hq, place in sorted(placed, key=lambda face: face[0].size):
        down, across = (_along(part, length // SCALE) for part, length in zip(place, levels.shape, strict=False))
        whole = pasted[tuple(map(times_scale, place))]
        for _, rows, _ in strips((hq.shape[0] // SCALE, hq.shape[1] // SCALE)):
            part = times_scale(rows)
            beneath, face = whole[part].astype(np.float32), hq[part] * (top / np.float32(255))
            whole[part] = np.rint(beneath + np.float32(strength) * _opacity(down[part], across) * (face - beneath))
    return pasted
