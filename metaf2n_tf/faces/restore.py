"""Face restorers: a photo and its faces in, (LQ, restored HQ) pairs out. `RESTORERS` is the table of them."""

from collections.abc import Callable

import numpy as np

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.faces.cut import face_slices
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.networks import rrdbnet
from metaf2n_tf.tiles import SuperResolver, times_scale

Pair = tuple[np.ndarray, np.ndarray]
Restorer = Callable[[np.ndarray, list[Face]], list[Pair]]

_CONTEXT = 16  # LQ pixels around a face that its super-resolution sees


def _widen(part: slice, length: int) -> tuple[slice, slice]:
    """A slice with context, and the original slice relative to it."""
    wide = slice(max(part.start - _CONTEXT, 0), min(part.stop + _CONTEXT, length))
    return wide, slice(part.start - wide.start, part.stop - wide.start)


def _self_ensemble(resolver: SuperResolver, params: rrdbnet.Params) -> Restorer:
    """The mean of the SR network's outputs over the 8 flips and rotations: no face restorer, only the network's own
    best guess, for users who have no restorer's weights."""

    def restore_crop(lq: np.ndarray) -> np.ndarray:
        total = 0.0
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(lq, turns)
                view = view[:, ::-1] if flip else view
                out = resolver(params, np.ascontiguousarray(view))
                total = total + np.rot90(out[:, ::-1] if flip else out, -turns)
        return to_levels(total / 8)

    def restore(rgb: np.ndarray, faces: list[Face]) -> list[Pair]:
        pairs = []
        for face in faces:
            rows, cols = face_slices(face, rgb.shape[:2])
            wide_rows, inner_rows = _widen(rows, rgb.shape[0])
            wide_cols, inner_cols = _widen(cols, rgb.shape[1])
            hq = restore_crop(np.float32(rgb[wide_rows, wide_cols]) / np.float32(255))
            pairs.append((rgb[rows, cols], hq[times_scale(inner_rows), times_scale(inner_cols)]))
        return pairs

    return restore


RESTORERS: dict[str, Callable[[SuperResolver, rrdbnet.Params], Restorer]] = {"self_ensemble": _self_ensemble}

NOTES = {
    "self_ensemble": "self_ensemble is no face restorer: expect a little tint and brightness from it, not detail",
}
