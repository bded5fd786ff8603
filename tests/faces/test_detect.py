import numpy as np

from metaf2n_tf.data.images import read_rgb8
from metaf2n_tf.faces.detect import DETECTORS, Face, detect_faces


def test_mtcnn_finds_the_sample_face(sample_lq):
    (face,) = detect_faces(DETECTORS["mtcnn"](), read_rgb8(sample_lq))
    x0, y0, x1, y1 = face.box
    assert 35 < x0 < 50 < 80 < x1 < 95
    assert 20 < y0 < 45 < 70 < y1 < 90
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]


def test_no_face_and_tiny_photos():
    detector = DETECTORS["mtcnn"]()
    for size in ((1, 1), (5, 300), (64, 64), (200, 120)):
        assert detect_faces(detector, np.full((*size, 3), 127, np.uint8)) == []


def fake(rgb):
    """Two detections, the first one faint; the boxes tell the size of the picture that was looked at."""
    height, width = rgb.shape[:2]
    marks = np.float32([[width / 2, height / 2]] * 5)
    return [Face(0, (0, 0, 1, 1), 0.85, marks), Face(1, (0, 0, width, height), 0.95, marks)]


def test_faint_detections_use_up_their_index():
    (face,) = detect_faces(fake, np.zeros((50, 60, 3), np.uint8))
    assert face.index == 1
    assert len(detect_faces(fake, np.zeros((50, 60, 3), np.uint8), confidence=0.8)) == 2


def test_long_photos_are_detected_small_and_reported_in_their_own_pixels():
    seen = []

    def detector(rgb):
        seen.append(rgb.shape[:2])
        return fake(rgb)

    (face,) = detect_faces(detector, np.zeros((800, 1600, 3), np.uint8))
    detect_faces(detector, np.zeros((800, 1500, 3), np.uint8))
    assert seen == [(500, 1000), (800, 1500)]
    np.testing.assert_allclose(face.box, (0, 0, 1600, 800))
    np.testing.assert_allclose(face.landmarks[0], (800, 400))
