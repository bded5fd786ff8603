import numpy as np
import pytest

from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.preview import draw_faces


@pytest.mark.parametrize("size", [(60, 90), (2400, 1600), (1, 40)])
def test_boxes_and_landmarks_are_in_their_places(size):
    height, width = size
    box = (0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height)
    marks = np.float32([[0.5 * width - 0.5, 0.5 * height - 0.5]] * 5)  # the middle of the photo
    plain = draw_faces(np.full((height, width, 3), 100, np.uint8), [])
    drawn = draw_faces(np.full((height, width, 3), 100, np.uint8), [Face(3, box, 0.987, marks)])
    assert max(plain.shape) == max(drawn.shape) == 1200
    assert np.all(plain == 100)
    assert np.any(drawn != 100)
    if min(size) > 1:
        rows, cols = drawn.shape[:2]
        assert np.any(drawn[rows // 2, : cols // 2] == 255)  # the box's left side
        assert tuple(drawn[rows // 2, cols // 2]) == (255, 220, 0)


def test_faces_left_out_are_gray():
    face = Face(0, (20.0, 20.0, 60.0, 60.0), 0.5, np.full((5, 2), 40, np.float32))
    drawn = draw_faces(np.zeros((80, 80, 3), np.uint8), [], [face])
    assert tuple(drawn[600, round(20.5 * 15)]) == (170, 170, 170)


def test_faces_reaching_beyond_the_photo_are_drawn():
    face = Face(0, (-50.0, -50.0, 500.0, 500.0), 0.9, np.full((5, 2), -10, np.float32))
    assert draw_faces(np.zeros((80, 100, 3), np.uint8), [face]).shape == (960, 1200, 3)
