"""Where the features of an exemplar belong to those of a face: moving least squares between their landmarks.

Schaefer et al., "Image Deformation Using Moving Least Squares" (2006), affine, inverted as in `utils/ROI_MLS.py` of
csxmli2016/ASFFNet512 (`roi_mls_whole_final`). Sums run in the published order, so that what rounding decides, a point
on the border or a matrix just singular, is decided as published.
"""

import numpy as np

from metaf2n_tf.faces.exemplars.guidance import CONTOUR, check_landmarks
from metaf2n_tf.networks.asffnet import FEATURE_STRIDE

_EPSILON = 1e-8  # square pixels an axis: a landmark that lies on a pixel has a finite weight
_SMALLEST_DETERMINANT = 1e-8
_ROWS = 8  # of the grid at a time, so that what is summed stays in the processor's cache


def _moments(p: np.ndarray, q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """What control points add up to at pixels, weighted by the inverse square of their distance.

    Args:
      p, q: float64 (2, K, 1), where the control points are and where they go to.
      v: float64 (2, N), the pixels.

    Returns:
      float64 (12, N): centroids of p and q, then p^T w q and p^T w p about them, row by row.
    """
    weights = 1 / (np.square(p[0] - v[0]) + _EPSILON + (np.square(p[1] - v[1]) + _EPSILON))
    total = weights.sum(axis=0)
    p_centre, q_centre = [[(weights * axis).sum(axis=0) / total for axis in points] for points in (p, q)]
    p_about, q_about = [
        [axis - mean for axis, mean in zip(*pair, strict=True)] for pair in ((p, p_centre), (q, q_centre))
    ]
    weighted = [axis * weights for axis in p_about]
    products = [(row * column).sum(axis=0) for columns in (q_about, p_about) for row in weighted for column in columns]
    return np.stack([*p_centre, *q_centre, *products])


def _invert(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses of (N, 2, 2), and which of them do not exist.

    As published, determinants are looked at only if some matrix is exactly singular; then small and negative ones
    count as singular, too.
    """
    try:
        return np.linalg.inv(matrices), np.zeros(len(matrices), bool)
    except np.linalg.LinAlgError:
        determinants = np.linalg.det(matrices)
        singular = determinants < _SMALLEST_DETERMINANT
        (a, b), (c, d) = matrices.transpose(1, 2, 0)
        adjugates = np.array([[d, -b], [-c, a]]).transpose(2, 0, 1)
        return adjugates / np.where(singular, np.inf, determinants)[:, None, None], singular


def mls_grid(
    lq_landmarks: np.ndarray, ref_landmarks: np.ndarray, image_size: int | tuple[int, int] = 512
) -> np.ndarray:
    """Where in the exemplar's features to look for each pixel of the face's.

    As published, each coordinate that leaves the features becomes 0, and the outline, the first 17 landmarks, has no
    say. Where landmarks lie on one line, the features are shifted if rounding leaves a matrix exactly singular, and are
    anywhere if not.

    Args:
      lq_landmarks, ref_landmarks: (68, 2), x and y in pixels of the face and of the exemplar.
      image_size: (height, width) of both pictures, multiples of 4, or the side of square ones.

    Returns:
      float32 (H, W, 2) with a quarter of the pictures' height and width, x and y divided by W/2 and H/2 after these are
      taken off: what `networks.asffnet.sample` takes.

    Raises:
      UserError: landmarks of another shape, or not finite.
    """
    size = np.broadcast_to(image_size, 2) // FEATURE_STRIDE
    height, width = size
    # The published warp is inverted: control points go from the exemplar (p) to the face (q), as (row, column).
    p = check_landmarks(ref_landmarks, "the exemplar's landmarks")[CONTOUR:, ::-1].T[:, :, None] / FEATURE_STRIDE
    q = check_landmarks(lq_landmarks, "the face's landmarks")[CONTOUR:, ::-1].T[:, :, None] / FEATURE_STRIDE
    v = np.indices((height, width), np.float64).reshape(2, -1)
    chunks = np.split(v, range(_ROWS * width, height * width, _ROWS * width), axis=1)
    moments = np.concatenate([_moments(p, q, chunk) for chunk in chunks], axis=1)
    p_centre, q_centre = moments[:2], moments[2:4]
    pq, pp = moments[4:].reshape(2, 2, 2, -1).transpose(0, 3, 1, 2)
    inverses, singular = _invert(pq)
    position = ((v - q_centre).T[:, None] @ inverses @ pp)[:, 0].T + p_centre
    position = np.where(singular, v + q_centre - p_centre, position)
    size = size[:, None]
    position = np.where((position >= 0) & (position <= size - 1), position, 0.0)
    return ((position - size / 2) / (size / 2)).astype(np.float32)[::-1].T.reshape(height, width, 2)
