"""Where a detected face lies in its photo, and which faces are worth cutting out."""

from collections.abc import Sequence

import cv2
import numpy as np

from metaf2n_tf.faces.detect import Face
from metaf2n_tf.tiles import Area, times_scale

_MOST_APART = 8  # levels, root mean square: what JPEG of fair quality makes of a noisy face


def face_slices(face: Face, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a face in a photo of (height, width) `size`, as `generate_test_faces.py` cuts Face_LQ.

    Corners are cut to integers towards zero, the first ones raised to 0, the last row and column included, and what
    lies beyond the photo dropped. A slice of a box wholly outside is empty.
    """
    x0, y0, x1, y1 = map(int, face.box)

    def part(first: int, last: int, length: int) -> slice:
        return slice(max(first, 0), max(min(last + 1, length), max(first, 0)))

    return part(y0, y1, size[0]), part(x0, x1, size[1])


def select_faces(faces: Sequence[Face], size: tuple[int, int], min_face: int = 0, max_faces: int = 0) -> list[Face]:
    """Leave out the faces that cannot or shall not be used.

    Args:
      faces: detections in a photo of (height, width) `size`.
      min_face: least pixels of the shorter side of a face, as far as it lies in the photo.
      max_faces: how many of the largest ones are kept; 0 for all.

    Returns:
      The faces left, in their own order.
    """

    def sides(face: Face) -> list[int]:
        return [part.stop - part.start for part in face_slices(face, size)]

    kept = [face for face in faces if min(sides(face)) >= max(min_face, 1)]
    if max_faces:
        largest = sorted(kept, key=lambda face: np.prod(sides(face)), reverse=True)[:max_faces]
        kept = [face for face in kept if face in largest]
    return kept


def cut_published(rgb: np.ndarray, canvas: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """(LQ, HQ) crops of a face: (h, w, 3) of the photo and a copy of (4h, 4w, 3) of the x4 canvas."""
    rows, cols = face_slices(face, rgb.shape[:2])
    return rgb[rows, cols], canvas[times_scale(rows), times_scale(cols)].copy()


def find_crop(rgb: np.ndarray, crop: np.ndarray) -> Area | None:
    """Where a crop was cut from a photo.

    It may have been saved with losses, or be of another JPEG decoder. A flat one fits anywhere, and lies at the first
    place.

    Args:
      rgb: uint8 (H, W, 3), the photo.
      crop: uint8 (h, w, 3).

    Returns:
      Its rows and columns, None where no part of the photo is like it.
    """
    height, width = crop.shape[:2]
    if height > rgb.shape[0] or width > rgb.shape[1]:
        return None
    gray, gray_crop = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (rgb, crop))
    _, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(gray, gray_crop, cv2.TM_SQDIFF))
    place = slice(top, top + height), slice(left, left + width)
    apart = np.sqrt(np.mean((rgb[place].astype(np.float32) - crop) ** 2))
    return place if apart <= _MOST_APART else None
