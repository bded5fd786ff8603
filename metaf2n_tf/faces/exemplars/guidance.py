"""Which exemplar suits a face best, and where its landmarks are.

The arithmetic is `main_test.py`'s of csxmli2016/ASFFNet512 (Li et al., CVPR 2020, section 3.2): an exemplar suits where
an affine transform brings its eyes and its mouth closest to those of the face. Landmarks are the 68 of the iBUG scheme.
"""

from collections.abc import Sequence

import numpy as np

from metaf2n_tf.errors import UserError

LANDMARKS = 68
CONTOUR = 17  # the first so many are the face's outline, which is never looked at
_EYES = np.r_[17:27, 36:48]  # with the brows
_MOUTH = np.r_[48:68]
_WEIGHTED_PARTS = (("eyes", _EYES, 1.01), ("mouth", _MOUTH, 1.49))
# Share of the wider spread under which the narrower one is rounding of float32 points.
_FLAT = 1e-5
_REACH = 3  # pixels from a point's to its square's border


def check_landmarks(landmarks: np.ndarray, source: str = "landmarks") -> np.ndarray:
    """Take landmarks as float64 (68, 2).

    Args:
      landmarks: of any real type.
      source: whose they are, for messages.

    Raises:
      UserError: another shape, or not finite.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.shape != (LANDMARKS, 2):
        raise UserError(f"{source}: {LANDMARKS} points (x, y) are needed, not an array of shape {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise UserError(f"{source}: some points are not finite")
    return landmarks


def _misfit(lq: np.ndarray, ref: np.ndarray, part: str) -> float:
    """Frobenius norm, in pixels, of what is left between `lq` and the best affine transform of `ref`."""
    lq, ref = lq - lq.mean(axis=0), ref - ref.mean(axis=0)
    transform, _, rank, _ = np.linalg.lstsq(ref, lq, rcond=_FLAT)
    if rank < 2:
        raise UserError(f"the exemplar's landmarks are degenerate: all points of its {part} lie on one line")
    return float(np.linalg.norm(ref @ transform - lq))


def similarity(lq_landmarks: np.ndarray, ref_landmarks: np.ndarray) -> float:
    """How far an exemplar's eyes and mouth stay from the face's, each under its best affine transform.

    Args:
      lq_landmarks, ref_landmarks: (68, 2), x and y in pixels, of the face and of the exemplar.

    Returns:
      0 or more, in pixels of the face; the smaller the better.

    Raises:
      UserError: landmarks of another shape or not finite, or the exemplar's are degenerate.
    """
    lq = check_landmarks(lq_landmarks, "the face's landmarks")
    ref = check_landmarks(ref_landmarks, "the exemplar's landmarks")
    return sum(weight * _misfit(lq[part], ref[part], name) for name, part, weight in _WEIGHTED_PARTS)


def choose_optimal(lq_landmarks: np.ndarray, ref_landmarks: Sequence[np.ndarray]) -> int:
    """Index of the exemplar that suits the face best, the first of several equals.

    Args:
      lq_landmarks: (68, 2) of the face.
      ref_landmarks: (68, 2) of every exemplar.

    Raises:
      UserError: there are no exemplars, or as for `similarity`.
    """
    if len(ref_landmarks) == 0:
        raise UserError("there are no exemplars to choose from")
    return int(np.argmin([similarity(lq_landmarks, landmarks) for landmarks in ref_landmarks]))


def point_mask(lq_landmarks: np.ndarray, size: int | tuple[int, int] = 512) -> np.ndarray:
    """Small squares of ones on the landmarks of eyes, brows, nose and mouth.

    As published, each is 6 or 7 pixels wide and lies up to half a pixel up and left of its point, and a point less than
    3 pixels from the upper or left border has none.

    Args:
      lq_landmarks: (68, 2), x and y in pixels.
      size: (height, width) of the picture, or the side of a square one.

    Returns:
      float32 (height, width, 1), 0 or 1.

    Raises:
      UserError: landmarks of another shape, or not finite.
    """
    points = check_landmarks(lq_landmarks, "the face's landmarks")[CONTOUR:]
    # The published condition is > 1, but from there to 3 its slices begin at a negative index, and are empty.
    height, width = np.broadcast_to(size, 2)
    points = points[((points >= _REACH) & (points < [width - 2, height - 2])).all(axis=1)]
    mask = np.zeros((height, width, 1), np.float32)
    starts, stops = np.floor(points).astype(np.int32) - _REACH, np.ceil(points).astype(np.int32) + _REACH
    for (left, top), (right, bottom) in zip(starts, stops, strict=True):
        mask[top:bottom, left:right] = 1
    return mask
