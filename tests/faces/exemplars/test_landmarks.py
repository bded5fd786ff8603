"""68 landmarks: found, and read from files."""

import cv2
import exemplar_samples as samples
import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import align
from metaf2n_tf.faces.exemplars.landmarks import INNER, Landmarker, five_points, read_landmarks, write_landmarks


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker(samples.MESH)


def distance(found, expected):
    """Mean distance of the inner points, in distances of the outer corners of the eyes."""
    return np.linalg.norm(found - expected, axis=1)[INNER].mean() / np.linalg.norm(expected[36] - expected[45])


@pytest.mark.parametrize("name", samples.NAMES)
def test_they_agree_with_another_detector(landmarker, name):
    found, expected = landmarker(samples.aligned(name)), samples.reference(name)
    assert found.shape == (68, 2)
    assert distance(found, expected) < 0.05
    assert np.linalg.norm(found - expected, axis=1).max() / np.linalg.norm(expected[36] - expected[45]) < 0.25


def test_they_follow_the_face(landmarker):
    square = samples.aligned("astronaut")
    still = landmarker(square)
    turn = cv2.getRotationMatrix2D((256, 300), 12, 0.9)
    turn[:, 2] += [30, -20]
    moved = cv2.warpAffine(square, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    assert distance(landmarker(moved), still @ turn[:, :2].T + turn[:, 2]) < 0.03
    small = cv2.resize(cv2.resize(square, (64, 64), interpolation=cv2.INTER_AREA), (512, 512))
    assert distance(landmarker(small), still) < 0.03


def test_where_there_is_no_face_there_are_none(landmarker):
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    for square in (noise, np.zeros_like(noise)):
        assert landmarker(square) is None
        points, probability = landmarker.find(square)
        assert np.isfinite(points).all()
        assert probability < 0.5


def test_five_of_them_align_a_face_as_a_detectors_do():
    name = samples.NAMES[0]
    forward, _ = align.fit_face(samples.photo_and_points(name)[1], 512)
    back = cv2.invertAffineTransform(forward)
    points = five_points(samples.reference(name)) @ back[:, :2].T + back[:, 2]
    assert np.linalg.norm(points - samples.photo_and_points(name)[1], axis=1).max() < 8


def test_files_are_read_as_written(tmp_path):
    landmarks = np.random.default_rng(1).uniform(-9, 600, (68, 2))
    write_landmarks(tmp_path / "a.txt", landmarks)
    np.testing.assert_allclose(read_landmarks(tmp_path / "a.txt"), landmarks, atol=0.0501)
    assert (tmp_path / "a.txt").read_text().splitlines()[0] == f"{landmarks[0, 0]:.1f} {landmarks[0, 1]:.1f}"


@pytest.mark.parametrize(
    "content",
    [b"", b"1 2\n" * 67, b"1 2 3\n" * 68, b"1 2\n" * 67 + b"1\n", b"1 a\n" * 68, b"nan 1\n" * 68, b"1 2\n1\n"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"a.txt: not a landmark file of 68 lines 'x y'$"):
        read_landmarks(tmp_path / "a.txt")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"a.txt: cannot be read: No such file"):
        read_landmarks(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe1 2\n")
    with pytest.raises(UserError, match=r"b.txt: not a text file in UTF-8"):
        read_landmarks(tmp_path / "b.txt")
    with pytest.raises(UserError, match=r"a.tflite: not readable as the face mesh. Remedy: delete it"):
        Landmarker(tmp_path / "a.tflite")
    (tmp_path / "a.tflite").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"a.tflite: not readable as the face mesh. Remedy: delete it"):
        Landmarker(tmp_path / "a.tflite")
