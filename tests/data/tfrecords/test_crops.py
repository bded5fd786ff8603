"""How pictures are cut, against the published script's own patches."""

import numpy as np
import pytest
from PIL import Image

from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords.crops import Cropping, TooSmall, crop_positions, cut_crops, log_gradient, scaled_sizes
from metaf2n_tf.errors import UserError


@pytest.fixture(scope="module")
def published(golden, tmp_path_factory):
    """The picture of the golden case, in a file, and what was published of it."""
    arrays, meta = golden("patches")
    height, width, _ = meta["image_shape"]
    r, c, k = np.ogrid[:height, :width, :3]
    levels = r // 9 + c // 11 + 30 * k + np.where(c >= 470, (r * c) % (16 + r // 12), 0)
    image = np.uint8(levels % 256)
    assert image.sum() == meta["image_sum"]
    path = tmp_path_factory.mktemp("published") / "image.png"
    images.write_rgb8(path, image)
    return path, arrays, meta


def test_crops_are_the_published_patches(published):
    path, arrays, meta = published
    crops = list(cut_crops(path, Cropping(400, 200)))
    assert [int(crop.sum()) for crop in crops] == meta["patch_sums"]
    np.testing.assert_array_equal(crops[0][:8, :8], arrays["patch0_corner"])
    np.testing.assert_array_equal(crops[-1][-8:, -8:], arrays["last_patch_corner"])
    np.testing.assert_allclose([log_gradient(crop) for crop in crops], meta["log_gradients"], rtol=0, atol=1e-9)


def test_positions_are_the_published_ones(published):
    _, _, meta = published
    grids = {"1013x767": meta["positions_row_col"]} | meta["other_grids"]
    for title, expected in grids.items():
        height, width = map(int, title.split()[0].split("x"))
        assert crop_positions(height, width, 400, 200) == [tuple(position) for position in expected]


def test_only_crops_with_texture_are_kept_when_asked_for(published):
    path, _, meta = published
    kept = [int(crop.sum()) for crop in cut_crops(path, Cropping(400, 200, min_gradient=-6))]
    sums = zip(meta["patch_sums"], meta["passes_filter"], strict=True)
    assert kept == [total for total, passes in sums if passes]


def test_log_gradient_of_odd_and_flat_patches(golden):
    arrays, meta = golden("patches")
    assert log_gradient(arrays["small_patch"]) == pytest.approx(meta["small_patch_log_gradient"], abs=1e-9)
    assert log_gradient(arrays["flat_patch"]) == pytest.approx(meta["flat_patch_log_gradient"], abs=1e-9)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1356, 2040, [(1017, 1530), (678, 1020), (452, 680), (400, 601)]),
        (2040, 1356, [(1530, 1017), (1020, 678), (680, 452), (601, 400)]),
        (600, 600, [(450, 450), (400, 400), (300, 300), (200, 200)]),
        (400, 500, [(300, 375), (200, 250), (133, 166)]),
        (300, 500, [(225, 375), (150, 250), (100, 166)]),
    ],
)
def test_smaller_copies_are_those_of_real_esrgan(height, width, expected):
    assert scaled_sizes(height, width) == expected


def test_multiscale_crops_come_from_lanczos_copies(published):
    path, _, _ = published
    crops = list(cut_crops(path, Cropping(400, 200, multiscale=True)))
    copies = [(759, 575), (528, 400)]  # the other two are smaller than a crop
    assert len(crops) == 8 + sum(len(crop_positions(*size, 400, 200)) for size in copies)
    small = np.asarray(Image.open(path).resize((400, 528), Image.LANCZOS))
    np.testing.assert_array_equal(crops[-1], small[:400])


def test_a_whole_face_is_taken_as_it_is_or_made_smaller(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    images.write_rgb8(tmp_path / "face.png", pixels)
    (crop,) = cut_crops(tmp_path / "face.png", Cropping(64))
    np.testing.assert_array_equal(crop, pixels)
    (smaller,) = cut_crops(tmp_path / "face.png", Cropping(32))
    np.testing.assert_array_equal(smaller, Image.open(tmp_path / "face.png").resize((32, 32), Image.LANCZOS))


def test_pictures_that_give_nothing_say_why(tmp_path):
    images.write_rgb8(tmp_path / "wide.png", np.zeros((64, 80, 3), np.uint8))
    with pytest.raises(TooSmall, match="wide.png: 80x64 pixels, smaller than 65x65"):
        list(cut_crops(tmp_path / "wide.png", Cropping(65, 10)))
    with pytest.raises(UserError, match="wide.png: 80x64 pixels, where a face is to be square"):
        list(cut_crops(tmp_path / "wide.png", Cropping(64)))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="bad.png: not a readable picture"):
        list(cut_crops(tmp_path / "bad.png", Cropping(64)))
