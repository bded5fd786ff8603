"""The sample photos' faces, aligned, with dlib's landmarks of them."""

import json
from pathlib import Path

import numpy as np

from metaf2n_tf.data import images
from metaf2n_tf.faces import align

ROOT = Path(__file__).resolve().parents[1]
LANDMARKS = ROOT / "tests" / "golden" / "landmarks"
MESH = ROOT / "weights" / "face_landmark.tflite"
NAMES = ("grace_hopper", "astronaut")


def photo_and_points(name):
    """The photo, and float32 (5, 2) of its face."""
    case = json.loads((LANDMARKS / "five_points.json").read_text())[name]
    return images.read_rgb8(ROOT / "datasets" / "sample" / case["photo"]), np.float32(case["five_points"])


def aligned(name):
    """uint8 (512, 512, 3)."""
    photo, points = photo_and_points(name)
    return align.warp_to_squares(photo, [align.fit_face(points, 512)[0]], 512, 1)[0]


def reference(name):
    """dlib's landmarks of the aligned face, float64 (68, 2)."""
    return np.loadtxt(LANDMARKS / f"{name}.txt")
