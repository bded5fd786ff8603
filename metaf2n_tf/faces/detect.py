"""Face detectors: a photo in, boxes with five landmarks out. `DETECTORS` is the table of them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

CONFIDENCE = 0.9
_LONGEST = 1500  # a longer photo is detected at _REDUCED pixels, as published
_REDUCED = 1000
_SMALLEST = 24  # MTCNN's networks look at 12, 24 and 48 pixels; nothing is found in less


@dataclass(frozen=True)
class Face:
    """One detection.

    index: its place among the photo's detections, which names its files; box: float (x0, y0, x1, y1), pixels, may
    reach beyond the photo; score: in [0, 1]; landmarks: float32 (5, 2), x and y in pixels of the left eye, right eye,
    nose, left and right mouth corner as the viewer sees them.
    """

    index: int
    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray


Detector = Callable[[np.ndarray], list[Face]]


def _mtcnn() -> Detector:
    """MTCNN (Zhang et al., 2016); the package carries its weights."""
    from mtcnn import MTCNN

    network = MTCNN()

    def detect(rgb: np.ndarray) -> list[Face]:
        if min(rgb.shape[:2]) < _SMALLEST:
            return []
        rows = network.detect_faces(rgb, fit_to_image=False, box_format="xyxy", output_type="numpy")
        return [
            Face(index, tuple(map(float, row[1:5])), float(row[5]), np.float32(row[6:16]).reshape(2, 5).T)
            for index, row in enumerate(rows)
        ]

    return detect


DETECTORS: dict[str, Callable[[], Detector]] = {"mtcnn": _mtcnn}


def detect_faces(detector: Detector, rgb: np.ndarray, confidence: float = CONFIDENCE) -> list[Face]:
    """Find the faces to use.

    Args:
      detector: one that `DETECTORS` built.
      rgb: uint8 (H, W, 3).
      confidence: lowest score; fainter detections are left out but use up their index, as published.

    Returns:
      Faces in the detector's order, in the photo's own pixels.
    """
    height, width = rgb.shape[:2]
    scale = _REDUCED / max(height, width) if max(height, width) > _LONGEST else 1.0
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return [
        Face(face.index, tuple(value / scale for value in face.box), face.score, face.landmarks / np.float32(scale))
        for face in detector(rgb)
        if face.score >= confidence
    ]
