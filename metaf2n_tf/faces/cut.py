"""Cut a detected face out of the photo (LQ) and out of the x4 canvas (HQ), as `generate_test_faces.py` does."""

import numpy as np

from metaf2n_tf.faces.detect import Face
from metaf2n_tf.tiles import times_scale


def face_slices(face: Face, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a face in a photo of (height, width) `size`.

    Corners are cut to integers towards zero, negative ones raised to 0, the last row and column included, and what
    lies beyond the photo dropped. Either slice may be empty for a box wholly outside.
    """
    x0, y0, x1, y1 = (max(int(value), 0) for value in face.box)
    height, width = size
    rows, cols = slice(y0, min(y1 + 1, height)), slice(x0, min(x1 + 1, width))
    return rows, cols


def cut_pair(rgb: np.ndarray, canvas: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """(LQ, HQ) crops of a face: (h, w, 3) of the photo and (4h, 4w, 3) of the canvas."""
    rows, cols = face_slices(face, rgb.shape[:2])
    return rgb[rows, cols], canvas[times_scale(rows), times_scale(cols)]
