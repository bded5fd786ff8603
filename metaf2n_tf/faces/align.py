"""Aligned faces: the similarity transform to the FFHQ-style square that face restorers expect, and back at x4.

The arithmetic is `align_faces.py`'s and `generate_test_faces.py`'s of MetaF2N: landmarks cut to integers, Umeyama's
fit in float32, bilinear warps.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from metaf2n_tf.networks.sr import SCALE

# Five points of the 96 x 112 template: eyes, nose, mouth corners, as (x, y).
_TEMPLATE = np.array(
    [
        [30.29459953, 51.69630051],
        [65.53179932, 51.50139999],
        [48.02519989, 71.73660278],
        [33.54930115, 92.3655014],
        [62.72990036, 92.20410156],
    ]
)
_TEMPLATE_SIZE = np.array([96, 112])
_INNER_PADDING = 0.25


def reference_points(size: int) -> np.ndarray:
    """float64 (5, 2): where the landmarks lie in an aligned square of `size` pixels.

    The template is widened to a square, then padded by a quarter of its side all round.
    """
    side = _TEMPLATE_SIZE.max()
    points = _TEMPLATE + (side - _TEMPLATE_SIZE) / 2 + side * _INNER_PADDING
    return points * (size / (side * (1 + 2 * _INNER_PADDING)))


def fit_similarity(source: np.ndarray, target: np.ndarray, scale: float | None = None) -> tuple[np.ndarray, float]:
    """Least-squares similarity transform (Umeyama, PAMI 1991).

    Args:
      source, target: float32 (N, 2) points; the fit runs in their precision.
      scale: fixes the scale instead of estimating it.

    Returns:
      float64 (2, 3) matrix that maps source to target, and its scale.

    Raises:
      ValueError: all source or all target points are one.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    covariance = (target - target_mean).T @ centred / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    rank = np.linalg.matrix_rank(covariance)
    if rank == 0:
        raise ValueError("the landmarks are all one point")
    orientation = np.linalg.det(covariance) if rank == 2 else np.linalg.det(u) * np.linalg.det(vt)
    signs = np.array([1.0, -1.0 if orientation < 0 else 1.0])
    rotation = (u @ np.diag(signs) @ vt).astype(np.float64)
    if scale is None:
        scale = float(1.0 / centred.var(axis=0).sum() * (singular @ signs))
    shift = target_mean - scale * (rotation @ source_mean)
    return np.column_stack([scale * rotation, shift]), scale


def can_fit(landmarks: np.ndarray) -> bool:
    """Whether `fit_face` has anything to go by: landmarks of a face of a pixel or two may all be one point."""
    return len(np.unique(landmarks.astype(np.int32), axis=0)) > 1


def fit_face(landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Transforms photo -> aligned square and back, each float64 (2, 3), for float (5, 2) landmarks in pixels."""
    points = landmarks.astype(np.int32).astype(np.float32)
    reference = reference_points(size).astype(np.float32)
    forward, scale = fit_similarity(points, reference)
    inverse, _ = fit_similarity(reference, points, 1.0 / scale)
    return forward, inverse


def warp_to_squares(rgb: np.ndarray, forwards: Sequence[np.ndarray], size: int, rim: int = 0) -> np.ndarray:
    """The aligned faces of a photo.

    Args:
      rgb: uint8 (H, W, 3), the photo.
      forwards: N transforms (2, 3), photo -> square.
      size: side S of the squares.
      rim: pixels by which the photo's border is repeated outwards. Without any, as published, a face at the border
        ends in half a pixel of shade.

    Returns:
      uint8 (N, S, S, 3), black outside the photo.
    """
    if rim:
        rgb = cv2.copyMakeBorder(rgb, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    matrices = [np.column_stack([forward[:, :2], forward @ [-rim, -rim, 1]]) for forward in forwards]
    return np.stack([cv2.warpAffine(rgb, matrix, (size, size), flags=cv2.INTER_LINEAR) for matrix in matrices])


def paste_x4(square: np.ndarray, inverse: np.ndarray, lq: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Lay a restored square over a crop of the photo, enlarged x4.

    Args:
      square: uint8 (S, S, 3).
      inverse: (2, 3), square -> photo.
      lq: uint8 (h, w, 3), the crop.
      corner: (row, column) of the crop in the photo.

    Returns:
      uint8 (4h, 4w, 3): crop pixel x becomes pixels 4x..4x+3. Where the square does not reach, the crop itself,
      enlarged bicubically.
    """
    size = (SCALE * lq.shape[1], SCALE * lq.shape[0])
    matrix = SCALE * inverse
    matrix[:, 2] += (SCALE - 1) / 2 - SCALE * np.array(corner[::-1])
    hq = cv2.resize(lq, size, interpolation=cv2.INTER_CUBIC)
    return cv2.warpAffine(square, matrix, size, hq, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)


def published_canvas_x4(square: np.ndarray, inverse: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
    """Lay a restored square onto a canvas 4 times the photo, as published.

    The transform is multiplied by 4 and nothing more, so the face lies 1.5 canvas pixels up and left of its place.

    Args:
      square: uint8 (S, S, 3).
      inverse: (2, 3), square -> photo.
      photo_size: (height, width) of the photo.

    Returns:
      uint8 (4 height, 4 width, 3), black outside the square.
    """
    height, width = photo_size
    return cv2.warpAffine(square, SCALE * inverse, (SCALE * width, SCALE * height), flags=cv2.INTER_LINEAR)
