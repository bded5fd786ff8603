"""Restored faces over a picture: where, how opaque, and what stays."""

import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.restored import PlacedFace
from metaf2n_tf.finish import strips
from metaf2n_tf.finish.paste import check_strength, paste

SIZE, PLACE = (40, 50), (slice(10, 30), slice(8, 24))


def face(level, place=PLACE):
    height, width = (part.stop - part.start for part in place)
    lq = np.zeros((height, width, 3), np.uint8)
    return PlacedFace(lq, np.full((4 * height, 4 * width, 3), level, np.uint8), place)


def canvas(level=0, dtype=np.uint8):
    return np.full((4 * SIZE[0], 4 * SIZE[1], 3), level, dtype)


def test_an_ellipse_that_fades(monkeypatch):
    beneath = canvas(20)
    pasted = paste(beneath, [face(220)], 1.0)
    assert (beneath == 20).all()
    opacity = (pasted[..., 0] - 20.0) / 200
    y, x = np.mgrid[: 4 * SIZE[0], : 4 * SIZE[1]]
    radius = np.hypot((y + 0.5 - 80) / 40, (x + 0.5 - 64) / 32)  # HQ pixels: rows 40 to 120, columns 32 to 96
    assert (opacity[radius < 0.69] == 1).all()
    assert (opacity[radius > 1] == 0).all()
    assert np.abs(np.diff(opacity, axis=0)).max() < 0.14
    assert np.abs(np.diff(opacity, axis=1)).max() < 0.17
    monkeypatch.setattr(strips, "_PIXELS", 3 * 16)
    np.testing.assert_array_equal(paste(beneath, [face(220)], 1.0), pasted)


def test_strength():
    assert paste(canvas(20), [face(220)], 0.25)[80, 64, 0] == 70
    beneath = canvas(20)
    assert paste(beneath, [face(220)], 0.0) is beneath
    assert paste(beneath, [face(220)._replace(place=None)], 1.0) is beneath


def test_16_bits():
    assert paste(canvas(5, np.uint16), [face(255)], 1.0)[80, 64, 0] == 65535
    assert paste(canvas(5, np.uint16), [face(128)], 1.0)[80, 64, 0] == 128 * 257


def test_a_face_lies_on_its_own_pixels():
    beneath = np.random.default_rng(0).integers(0, 256, canvas().shape, dtype=np.uint8)
    same = face(0)._replace(hq=beneath[40:120, 32:96])
    np.testing.assert_array_equal(paste(beneath, [same], 1.0), beneath)


def test_at_the_photos_border_it_does_not_fade():
    pasted = paste(canvas(20), [face(220, (slice(0, 20), slice(34, 50)))], 1.0)
    assert pasted[0, 170, 0] == 220
    assert pasted[40, -1, 0] == 220
    assert pasted[40, 136, 0] == 20


def test_the_larger_face_lies_on_top():
    small = face(100, (slice(10, 20), slice(8, 16)))
    for faces in ([small, face(220)], [face(220), small]):
        pasted = paste(canvas(20), faces, 1.0)
        assert pasted[80, 64, 0] == 220
        assert (pasted[..., 0] == 100).any()


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -1, -1e-9, 1.0001, 2])
def test_impossible_strengths(strength):
    with pytest.raises(UserError, match="paste_strength="):
        check_strength(strength)
