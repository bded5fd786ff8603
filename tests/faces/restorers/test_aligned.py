import cv2
import numpy as np
import pytest
import recipe
import tensorflow as tf
from face_weights import tiny_gpen_state_dict, to_params
from phase import displacement
from torch_file import write_pth

from metaf2n_tf.data.images import read_rgb8, to_levels
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import restorers
from metaf2n_tf.faces.crop import face_slices
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restorers import Needs, levels
from metaf2n_tf.faces.restorers.aligned import Aligned, restore_aligned
from metaf2n_tf.networks import gpen

NAME = None  # none of these restorers asks where a face is from


def face(*box, landmarks=None, index=0):
    return Face(index, box, 0.99, np.zeros((5, 2), np.float32) if landmarks is None else np.float32(landmarks))


def landmarks_at(x, y, eyes, degrees=0.0):
    """Five landmarks of a face whose eyes are `eyes` pixels apart, turned about its centre."""
    points = eyes * np.float32([[-0.5, -0.45], [0.5, -0.45], [0, 0.1], [-0.41, 0.6], [0.41, 0.6]])
    turn = np.deg2rad(degrees)
    return points @ np.float32([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + [x, y]


def shift(lq, hq):
    """Displacement of HQ against LQ in LQ pixels, (x, y)."""
    return displacement(cv2.resize(hq, lq.shape[1::-1], interpolation=cv2.INTER_AREA), lq)


def identity(published_crops=False, size=512):
    """A restorer that gives every face back as it is."""
    return restore_aligned(lambda squares: squares, size, published_crops)


@pytest.fixture(scope="module")
def photo(root):
    return read_rgb8(root / "datasets" / "sample" / "GT" / "grace_hopper.png")


@pytest.mark.parametrize("degrees", [0, 25, -90, 180])
@pytest.mark.parametrize("size", [512, 256])
def test_hq_is_registered_to_lq(photo, degrees, size):
    found = face(180, 140, 330, 310, landmarks=landmarks_at(255, 220, 75, degrees))
    (ours,) = identity(size=size)(photo, [found], NAME)
    assert ours.hq.shape == (4 * ours.lq.shape[0], 4 * ours.lq.shape[1], 3)
    np.testing.assert_allclose(shift(ours.lq, ours.hq), 0, atol=0.02)
    (published,) = identity(published_crops=True, size=size)(photo, [found], NAME)
    np.testing.assert_array_equal(published.lq, ours.lq)
    np.testing.assert_allclose(shift(published.lq, published.hq), -0.375, atol=0.02)


def test_published_crops(golden):
    """golden/face_align: the whole of generate_test_faces.py behind the detector, the restorer replaced by identity."""
    case, meta = golden("face_align")
    boxes = [(index, box) for index, box in enumerate(meta["boxes"]) if box["written"]]
    faces = [
        face(*box["box"][:4], landmarks=np.transpose(meta["landmarks"][box["landmarks"]]["landmarks_xy"]), index=index)
        for index, box in boxes
    ]
    for (_, box), found in zip(boxes, identity(published_crops=True)(case["image"], faces, NAME), strict=True):
        suffix = box["file_suffix"]
        assert found.face.index == suffix
        assert (list(found.lq.shape), list(found.hq.shape)) == (box["lq_shape"], box["hq_shape"])
        difference = np.abs(found.hq[::8, ::8].astype(int) - case[f"face_hq{suffix}_every8"])
        assert difference.mean() <= 0.3
        assert difference.max() <= 6


FACES = {
    "partly outside": ((-20, 300, 60, 420), landmarks_at(20, 360, 40)),
    "in the corner": ((470, 480, 540, 560), landmarks_at(505, 510, 35)),
    "tiny": ((100, 100, 106, 107), landmarks_at(103, 103, 3)),
    "one pixel": ((100, 100, 100.4, 100.4), landmarks_at(100, 100, 3)),
    "larger than the photo": ((-100, -100, 700, 700), landmarks_at(256, 256, 260)),
    "upside down": ((180, 140, 330, 310), landmarks_at(255, 220, 75, 180)),
    "overlapping": ((200, 150, 350, 330), landmarks_at(275, 230, 75, 10)),
}


@pytest.mark.parametrize("name", FACES)
def test_crops_of_awkward_faces(photo, name):
    """An identity restorer gives the photo back, so HQ must look like LQ enlarged, up to the border."""
    box, marks = FACES[name]
    photo = cv2.GaussianBlur(photo, None, 2)  # so that resampling loses nothing
    (found,) = identity()(photo, [face(*box, landmarks=marks)], NAME)
    rows, cols = face_slices(found.face, photo.shape[:2])
    np.testing.assert_array_equal(found.lq, photo[rows, cols])
    assert found.hq.shape == (4 * found.lq.shape[0], 4 * found.lq.shape[1], 3)
    small = cv2.resize(found.hq, found.lq.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
    error = np.abs(small - found.lq)
    assert error.mean() < 3
    for edge in (error[0], error[-1], error[:, 0], error[:, -1]):
        assert edge.mean() < 12


def test_many_faces_go_through_in_order(photo):
    faces = [
        face(x, y, x + 40, y + 50, landmarks=landmarks_at(x + 20, y + 22, 18), index=10 * y + x)
        for y in range(0, 400, 80)
        for x in range(0, 480, 80)
    ]
    assert len(faces) == 30
    sizes = []

    def network(squares):
        sizes.append(squares.shape)
        return 255 - squares

    restored = restore_aligned(network, 64, published_crops=False)(photo, faces, NAME)
    assert sizes == [(30, 64, 64, 3)]
    for found, expected in zip(restored, faces, strict=True):
        assert found.face is expected
        square, inverted = found.aligned
        np.testing.assert_array_equal(inverted, 255 - square)
        small = cv2.resize(found.hq, found.lq.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(255 - small.astype(int) - found.lq).mean() < 20
    assert restore_aligned(network, 64, published_crops=False)(photo, [], NAME) == []


@pytest.fixture
def gpen_file(tmp_path):
    path = tmp_path / "GPEN-BFR-512.pth"
    write_pth(path, tiny_gpen_state_dict())
    return path


def test_gpen_takes_and_gives_levels_as_published(gpen_file):
    squares = to_levels(recipe.image((3, 64, 64, 3), 4))
    loaded = restorers.load("gpen", gpen_file, Needs())
    assert loaded.size == 64
    images = (np.float32(squares) / 255 - 0.5) / 0.5
    levels = np.clip(gpen.forward(to_params(tiny_gpen_state_dict()), images).numpy() * 0.5 + 0.5, 0, 1) * 255
    restored = loaded.compiled()(squares)
    assert restored.dtype == np.uint8
    different = restored != levels.astype(np.uint8)  # where a value lies within rounding of a level
    assert np.abs(levels - np.round(levels))[different].max(initial=0) < 1e-2
    assert different.mean() < 1e-3


def test_gpen_restores_the_faces_of_a_photo(gpen_file, photo):
    loaded = restorers.load("gpen", gpen_file, Needs())
    restore = loaded.for_photos(published_crops=False)
    faces = [
        face(180, 140, 330, 310, landmarks=landmarks_at(255, 220, 75)),
        face(*FACES["tiny"][0], landmarks=FACES["tiny"][1]),
    ]
    for found in restore(photo, faces, NAME):
        square, restored = found.aligned
        assert square.shape == restored.shape == (64, 64, 3)
        np.testing.assert_array_equal(restored, loaded.compiled()(square[None])[0])
        assert found.hq.shape == (4 * found.lq.shape[0], 4 * found.lq.shape[1], 3)


def test_weights_that_overflow_are_refused(tmp_path):
    state = tiny_gpen_state_dict()
    state["ecd0.0.0.weight"] = np.full_like(state["ecd0.0.0.weight"], 3e38)
    write_pth(tmp_path / "a.pth", state)
    with pytest.raises(UserError, match="not finite"):
        restorers.load("gpen", tmp_path / "a.pth", Needs()).compiled()(np.full((1, 64, 64, 3), 255, np.uint8))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_no_output_that_is_not_finite_becomes_levels(value):
    loaded = Aligned("a", None, {"value": np.float32(value)}, lambda params, levels: levels + params["value"], size=16)
    with pytest.raises(UserError, match="not finite"):
        loaded.compiled()(np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
        tf.function(loaded.for_batches(16))(tf.zeros((1, 4, 4, 3), tf.uint8))


def test_levels_are_made_in_the_restorers_own_way():
    values = np.float32([-3, 0.4, 0.5, 1.5, 2.5, 254.9, 300])
    for way, expected in (
        (levels.cut_off, [0, 0, 0, 1, 2, 254, 255]),
        (levels.half_up, [0, 0, 1, 2, 3, 255, 255]),
        (levels.rounded, [0, 0, 0, 2, 2, 255, 255]),
    ):
        np.testing.assert_array_equal(levels.checked(tf.constant(values), way), expected)
