"""68 landmarks (the 300-W markup) of a face: found by MediaPipe's face mesh, or read from a file as published.

The mesh (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019) has 468
points; each of the 68 is one of them, and the eyebrows, which it has as bands, the middle of two.
"""

import warnings
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.exemplars.guidance import CONTOUR, LANDMARKS, similarity

INNER = slice(CONTOUR, None)

_INPUT = 192  # side of what the mesh network looks at
_FIRST_LOOK = ((0.5, 0.58), 0.84)  # centre and side of an aligned face in its square
_MARGIN = 1.5  # side of the second look, in sides of the face as first seen
_LEAST_LOOK = 0.1  # a first look that saw nothing may have shrunk to a point

# fmt: off
_OUTLINE = [127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356]
_EYEBROWS_UPPER = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
_EYEBROWS_LOWER = [46, 53, 52, 65, 55, 285, 295, 282, 283, 276]
_NOSE = [168, 197, 5, 4, 75, 97, 2, 326, 305]
_EYES = [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
_MOUTH = [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
# fmt: on
_UPPER = [*_OUTLINE, *_EYEBROWS_UPPER, *_NOSE, *_EYES, *_MOUTH]
_LOWER = [*_OUTLINE, *_EYEBROWS_LOWER, *_NOSE, *_EYES, *_MOUTH]
_EYE_CORNERS = (33, 263)


class Landmarker:
    """The face mesh, as a function of aligned faces; runs on the CPU."""

    def __init__(self, weights: Path):
        """Read `face_landmark.tflite`.

        Raises:
          UserError: nothing there, or not this network.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the interpreter's move to a package of its own
                self._network = tf.lite.Interpreter(
                    model_content=weights.read_bytes(),
                    experimental_op_resolver_type=(
                        tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                    ),
                )
            self._network.allocate_tensors()
            (self._input,) = self._network.get_input_details()
            self._outputs = self._network.get_output_details()
            shapes = [tuple(part["shape"]) for part in (self._input, *self._outputs)]
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{weights}: not readable as the face mesh. Remedy: delete it, to be fetched again") from (
                error
            )
        if shapes != [(1, _INPUT, _INPUT, 3), (1, 1, 1, 3 * 468), (1, 1, 1, 1)]:
            raise UserError(f"{weights}: not the face mesh of 468 points")

    def _look(self, square: np.ndarray, to_photo: np.ndarray) -> tuple[np.ndarray, float]:
        """(468, 2) points in pixels of `square`, and the logit of a face being there; `to_photo` is (2, 3)."""
        shrink = np.hypot(*to_photo[:, 0])
        smooth = cv2.GaussianBlur(square, (0, 0), 0.4 * shrink) if shrink > 1 else square
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(smooth, to_photo, (_INPUT, _INPUT), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        self._network.set_tensor(self._input["index"], view.astype(np.float32)[None] / np.float32(255))
        self._network.invoke()
        mesh, logit = (self._network.get_tensor(output["index"]).ravel() for output in self._outputs)
        points = np.float64(mesh).reshape(-1, 3)[:, :2]
        return points @ to_photo[:, :2].T + to_photo[:, 2], float(logit[0])

    def find(self, square: np.ndarray) -> tuple[np.ndarray, float]:
        """Landmarks of a face, and how sure the network is that there is one.

        Args:
          square: uint8 (S, S, 3) RGB, a face aligned as `faces.align` does.

        Returns:
          float64 (68, 2), x and y in pixels; a probability.
        """
        size = len(square)
        (x, y), side = _FIRST_LOOK
        points, _ = self._look(square, _window(np.array([x, y]) * size, side * size, 0.0))
        low, high = points.min(axis=0), points.max(axis=0)
        side = np.clip(_MARGIN * (high - low).max(), _LEAST_LOOK * size, _MARGIN * size)
        run, rise = np.subtract(*points[_EYE_CORNERS[::-1], :])
        points, logit = self._look(square, _window((low + high) / 2, side, np.arctan2(rise, run)))
        return (points[_UPPER] + points[_LOWER]) / 2, float(1 / (1 + np.exp(-logit)))

    def __call__(self, square: np.ndarray) -> np.ndarray | None:
        """The landmarks of `find` where a face is likelier than not, else None."""
        landmarks, probability = self.find(square)
        return landmarks if probability > 0.5 else None


def _window(centre: np.ndarray, side: float, angle: float) -> np.ndarray:
    """(2, 3) from the network's pixels to those of a turned window's surroundings."""
    scale = side / _INPUT
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (_INPUT - 1) / 2
    return np.column_stack([turn, centre - turn @ [middle, middle]])


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """float32 (5, 2) out of (68, 2): eyes, nose, mouth corners, as the detectors of `faces.detect` give them."""
    eyes = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    return np.array([*eyes, landmarks[30], landmarks[48], landmarks[54]], np.float32)


def read_landmarks(path: Path) -> np.ndarray:
    """float64 (68, 2) from a text file of 68 lines, x and y in pixels, as the published scripts read it.

    Raises:
      UserError: no such file, not 68 pairs of finite numbers, or degenerate ones: eyes or mouth on a line.
    """
    rows = [line.split() for line in files.read_lines(path) if line.strip()]
    try:
        landmarks = np.array([[float(number) for number in row] for row in rows])
    except ValueError:  # also rows of different lengths
        landmarks = np.zeros(0)
    if landmarks.shape != (LANDMARKS, 2) or not np.isfinite(landmarks).all():
        raise UserError(f"{path}: not a landmark file of {LANDMARKS} lines 'x y'")
    try:
        similarity(landmarks, landmarks)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return landmarks


def write_landmarks(path: Path, landmarks: np.ndarray) -> None:
    """Write (68, 2) as the published scripts do, with one decimal."""
    files.write_bytes(path, "".join(f"{x:.1f} {y:.1f}\n" for x, y in landmarks).encode())
