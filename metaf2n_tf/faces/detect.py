"""Face detectors: a photo in, boxes with five landmarks out. `DETECTORS` is the table of them."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import retinaface
from metaf2n_tf.weights.face_networks import load_retinaface

CONFIDENCE = 0.9
_OVERLAP = 0.4
_MOST_BEFORE_OVERLAP, _MOST = 5000, 750
_LONGEST = 1500  # a longer photo is detected at _REDUCED pixels, as published
_REDUCED = 1000
_MTCNN_OUTPUT = 0.8  # the lowest score of MTCNN's last network, by default
_SMALLEST = 24  # MTCNN's networks look at 12, 24 and 48 pixels; nothing is found in less


@dataclass(frozen=True, eq=False)
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


# float32 (H, W, 3) RGB levels and the lowest score of interest in; faces in the order of their index out.
Detect = Callable[[np.ndarray, float], list[Face]]


@dataclass(frozen=True)
class Detector:
    """A row of the table.

    build: makes it, of the path of its weights where it has any of its own; weights: their name in the catalogue;
    fetched: whether they are fetched when they are not there.
    """

    build: Callable[..., Detect]
    weights: str | None = None
    fetched: bool = False


def _box(corners: Iterable[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, corners)
    return x0, y0, x1, y1


def _retinaface_r50(weights: Path) -> Detect:
    """The published detector, with the published order of things: threshold, best first, suppression."""
    params = {name: tf.constant(value) for name, value in load_retinaface(weights).items()}
    forward = tf.function(retinaface.forward, autograph=False)
    forward = forward.get_concrete_function(params, tf.TensorSpec((1, None, None, 3), tf.float32))

    def detect(rgb: np.ndarray, confidence: float) -> list[Face]:
        height, width = rgb.shape[:2]
        images = tf.constant(rgb[None, ..., ::-1] - np.array(retinaface.MEAN_BGR, np.float32))
        box_offsets, scores, landmark_offsets = (output.numpy()[0] for output in forward(params, images))
        anchors = retinaface.priors(height, width)
        above = np.flatnonzero(scores > confidence)
        best = above[scores[above].argsort()[::-1][:_MOST_BEFORE_OVERLAP]]
        boxes, landmarks = retinaface.decode(anchors[best], box_offsets[best], landmark_offsets[best])
        size = np.array([width, height], np.float32)
        detections = np.column_stack([boxes * np.tile(size, 2), scores[best]])
        kept = retinaface.suppress(detections, _OVERLAP)[:_MOST]
        return [
            Face(index, _box(detections[row, :4]), float(detections[row, 4]), landmarks[row] * size)
            for index, row in enumerate(kept)
        ]

    return detect


def _retinaface(weights: Path) -> Detect:
    """RetinaFace of the package retina-face (Serengil), which reads its weights where the catalogue puts them."""
    os.environ["DEEPFACE_BACKEND_ENGINE"] = "tensorflow"
    if getattr(tf.keras, "__version__", "2").startswith("3"):
        raise UserError("the detector retinaface is made for Keras 2. Remedy: TF_USE_LEGACY_KERAS=1 in the environment")
    from retinaface import RetinaFace

    try:
        network = RetinaFace.build_model()
    except (OSError, ValueError, LookupError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{weights}: not readable as RetinaFace's weights. Remedy: delete it and fetch it again"
        ) from error

    def detect(rgb: np.ndarray, confidence: float) -> list[Face]:
        found = RetinaFace.detect_faces(rgb[..., ::-1], threshold=confidence, model=network, allow_upscaling=False)
        return [
            Face(
                index,
                _box(face["facial_area"]),
                float(face["score"]),
                np.array(list(face["landmarks"].values()), np.float32),
            )
            for index, face in enumerate(found.values())
        ]

    return detect


def _mtcnn() -> Detect:
    """MTCNN (Zhang et al., 2016); the package carries its weights."""
    from mtcnn import MTCNN

    network = MTCNN()

    def detect(rgb: np.ndarray, confidence: float) -> list[Face]:
        if min(rgb.shape[:2]) < _SMALLEST:
            return []
        onet = min(_MTCNN_OUTPUT, confidence)
        rows = np.asarray(
            network.detect_faces(rgb, fit_to_image=False, box_format="xyxy", output_type="numpy", threshold_onet=onet)
        )
        return [
            Face(index, _box(row[1:5]), float(row[5]), np.asarray(row[6:16], np.float32).reshape(2, 5).T)
            for index, row in enumerate(rows)
        ]

    return detect


DETECTORS = {
    "retinaface_r50": Detector(_retinaface_r50, "retinaface-r50"),
    "retinaface": Detector(_retinaface, "retinaface", fetched=True),
    "mtcnn": Detector(_mtcnn),
}
PREFERRED = ("retinaface_r50", "retinaface", "mtcnn")


def detect_faces(detect: Detect, rgb: np.ndarray, confidence: float = CONFIDENCE) -> list[Face]:
    """Find the faces of a photo.

    Args:
      detect: one that `DETECTORS` built.
      rgb: levels (H, W, 3), uint8 or float32.
      confidence: lowest score; fainter detections are left out but use up their index, as published.

    Returns:
      Faces in the detector's order, in the photo's own pixels.
    """
    rgb = np.asarray(rgb, np.float32)
    longest = max(rgb.shape[:2])
    scale = np.float32(1.0)
    if longest > _LONGEST:
        if min(rgb.shape[:2]) * _REDUCED < longest:
            return []  # a strip without a row left
        rgb = cv2.resize(rgb, None, fx=_REDUCED / longest, fy=_REDUCED / longest)
        scale = np.float32(_REDUCED / longest)
    return [
        Face(face.index, _box(np.array(face.box, np.float32) / scale), face.score, face.landmarks / scale)
        for face in detect(rgb, confidence)
        if face.score >= confidence and np.isfinite(face.box).all() and np.isfinite(face.landmarks).all()
    ]
