from pathlib import Path

import numpy as np
import pytest
from conftest import make_tiny_sr

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import detect
from metaf2n_tf.faces.detect import Detector, Face
from metaf2n_tf.faces.finder import FaceFinder

MARKS = np.float32([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]])


@pytest.fixture
def detections(monkeypatch):
    """What the detector is going to find, and the pictures that it was shown."""
    faces, seen = [], []

    def detector(rgb, confidence):
        seen.append(rgb)
        return faces

    monkeypatch.setitem(detect.DETECTORS, "mtcnn", Detector(lambda: detector))
    return faces, seen


def finder(restorer="faces_lite", **given):
    return FaceFinder("mtcnn", restorer, **given)


def test_what_becomes_of_each_face(detections):
    """One cannot be aligned, one is too faint, one too small, one beyond the number; the one left is restored."""
    detections[0].extend(
        [
            Face(0, (0, 0, 30, 30), 0.99, np.full((5, 2), 7, np.float32)),
            Face(1, (0, 0, 30, 30), 0.6, MARKS),
            Face(2, (0, 0, 8, 30), 0.99, MARKS),
            Face(3, (2, 4, 25, 30), 0.95, MARKS),
            Face(4, (2, 4, 22, 30), 0.95, MARKS),
        ]
    )
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    found = finder(confidence=0.9, min_face=10, max_faces=1)(rgb)
    assert [item.face.index for item in found.restored] == [3]
    assert ([face.index for face in found.unused], found.failed) == ([0, 2, 4], [])
    ((lq, hq),) = found.pairs
    np.testing.assert_array_equal(lq, rgb[4:31, 2:26])
    assert (hq.shape, hq.dtype) == ((108, 96, 3), np.uint8)


@pytest.mark.parametrize(("restorer", "told"), [("faces_lite", True), ("self_ensemble", False)])
def test_faces_too_small_for_the_restorer_are_said_so(detections, caplog, restorer, told):
    detections[0].extend([Face(0, (0, 0, 30, 30), 0.99, MARKS), Face(1, (2, 4, 12, 30), 0.99, MARKS)])
    finder(restorer, sr=make_tiny_sr)(np.full((40, 40, 3), 99, np.uint8), "old.png")
    line = (
        "old.png: 1 of its faces under 12 LQ pixels, too small for faces_lite to help. "
        "Remedy: min_face=12 leaves them out"
    )
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [line] * told


def test_floats_are_rounded_once_and_give_what_levels_give(detections):
    faces, seen = detections
    faces.append(Face(0, (2, 4, 25, 30), 0.95, MARKS))
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    find = finder()
    for pixels in (rgb, np.float32(rgb) / 255, np.float64(rgb) / 255, np.float32(rgb) / 255 + np.float32(1e-3)):
        ((lq, hq),) = find.pairs(pixels)
        ((expected_lq, expected_hq),) = find.pairs(rgb)
        np.testing.assert_array_equal(lq, expected_lq)
        np.testing.assert_array_equal(hq, expected_hq)
        assert seen[-2].dtype == np.float32
        np.testing.assert_array_equal(seen[-2], rgb)
    for wrong in (np.uint16(rgb), rgb[..., 0]):
        with pytest.raises(ValueError, match=r"expected uint8 or float \(H, W, 3\), not"):
            find(wrong)


def test_exemplars_go_with_asffnet_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "ASFFNet512.pth").touch()
    for restorer, given, message in (
        ("faces_lite", {"exemplar_dir": Path("people")}, "exemplar_dir: faces_lite takes no exemplars. Remedy: rest"),
        ("asffnet", {"exemplar_map": Path("map.txt")}, "exemplar_map: names persons of exemplar_dir, which is not"),
        ("asffnet", {}, "restorer=asffnet: needs HQ photos of the persons. Remedy: exemplar_dir"),
    ):
        with pytest.raises(UserError, match=message):
            finder(restorer, **given).load()


def test_weights_of_ones_own_are_named_with_the_restorer(tmp_path):
    with pytest.raises(UserError, match="mine.pth: "):
        finder(f"gpen:{tmp_path}/mine.pth")
    with pytest.raises(UserError, match="restorer=self_ensemble:a.pth: self_ensemble has no weights of its own"):
        finder("self_ensemble:a.pth")


@pytest.mark.parametrize("restorer", ["faces_lite", "self_ensemble"])
def test_what_aligns_no_faces_has_no_published_crops(restorer):
    message = f"published_crops: {restorer} does not align faces. Remedy: restorer=gpen"
    with pytest.raises(UserError, match=message):
        finder(restorer, published_crops=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"confidence": 0.0}, "confidence=0.0: above 0, and at most 1"),
        ({"confidence": 1.5}, "confidence=1.5: above 0, and at most 1"),
        ({"min_face": -1}, "min_face=-1: cannot be negative"),
        ({"max_faces": -2}, "max_faces=-2: cannot be negative"),
    ],
)
def test_values_that_make_no_sense(given, message):
    with pytest.raises(UserError, match=message):
        finder(**given)
