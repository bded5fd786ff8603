import tracemalloc

import cv2
import numpy as np
import pytest
import recipe

from metaf2n_tf.errors import UserError
from metaf2n_tf.metrics import niqe as metric
from metaf2n_tf.metrics.niqe import load_niqe, niqe
from metaf2n_tf.weights.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def params_file(root):
    return root / "tests" / "golden" / "niqe" / "niqe_pris_params.npz"


@pytest.fixture(scope="module")
def params(params_file):
    return load_niqe(params_file)


@pytest.fixture(scope="module")
def photo(root):
    return cv2.imread(str(root / "datasets" / "sample" / "GT" / "grace_hopper.png"))[..., ::-1]


def made(name, photo):
    """The pictures whose values are under `made` in meta.json."""
    picture = photo.copy()
    if name == "odd_size":
        return picture[7:308, 11:414]
    if name == "one_block":
        return picture[100:250, 200:300]
    if name == "strong_colours":
        picture[..., 1] //= 4
        picture[..., 2] = 255 - picture[..., 2]
    elif name == "saturated":
        picture = np.clip(2 * picture.astype(int) - 128, 0, 255).astype(np.uint8)
    elif name == "flat_blocks":
        picture[:200, :200], picture[300:, 300:] = 0, 255
    elif name == "smooth":
        picture = np.rint(255 * recipe.image((307, 401, 3), 5)).astype(np.uint8)
    return picture


@pytest.mark.parametrize("index", [0, 1, 2])
def test_published_values(golden, params, index):
    case, meta = golden("niqe")
    expected = meta["cases"][index]
    picture = case[expected["image"]]
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    assert niqe(picture, params) == pytest.approx(expected["pyiqa_0_1_6_4_formula_same_pris_params"], abs=1e-4)
    basicsr = niqe(picture, params, "basicsr")
    assert basicsr == pytest.approx(expected["niqe_same_code_on_float64_y"], abs=expected["tolerance_float64"])
    assert basicsr == pytest.approx(expected["niqe"], abs=expected["tolerance_float32"])


@pytest.mark.parametrize("name", ["odd_size", "one_block", "strong_colours", "saturated", "flat_blocks", "smooth"])
def test_published_values_of_difficult_pictures(golden, params, photo, name):
    expected = golden("niqe")[1]["made"][name]
    picture = made(name, photo)
    assert niqe(picture, params) == pytest.approx(expected["pyiqa"], abs=1e-3)
    if expected["basicsr_on_float64_y"] is None:  # it fails: a single block has no covariance
        with pytest.raises(ValueError, match="1 of 1 blocks have texture, NIQE needs 2"):
            niqe(picture, params, "basicsr")
    else:
        assert niqe(picture, params, "basicsr") == pytest.approx(expected["basicsr_on_float64_y"], rel=1e-3)


def test_the_shape_is_the_nearest_of_the_table():
    random = np.random.default_rng(3)
    samples = random.standard_normal((60, 400)) * np.abs(random.standard_normal((60, 400))) ** random.uniform(
        0, 6, (60, 1)
    )
    samples[samples < 0] *= 0.5
    samples[:3] = random.choice([-1.0, 1.0], (3, 400))  # beyond the end of the table
    shapes, ratios, _, _ = metric._shape_table()
    left = np.array([np.sqrt(np.mean(x[x < 0] ** 2)) for x in samples])
    right = np.array([np.sqrt(np.mean(x[x > 0] ** 2)) for x in samples])
    g = left / right
    ratio = np.mean(np.abs(samples), axis=1) ** 2 / np.mean(samples**2, axis=1)
    ratio *= (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    nearest = metric._fit(samples)[0]
    np.testing.assert_array_equal(nearest, np.argmin((ratios - ratio[:, None]) ** 2, axis=1))
    assert nearest.min() < 500
    assert nearest.max() == len(shapes) - 1 == 9800


@pytest.mark.parametrize("convention", metric.CONVENTIONS)
def test_pictures_without_a_number(params, photo, convention):
    with pytest.raises(ValueError, match="300x95 pixels, NIQE needs sides of at least 96"):
        niqe(photo[:95, :300], params, convention)
    for level in (0, 77, 255):
        with pytest.raises(ValueError, match="0 of 4 blocks have texture"):
            niqe(np.full((200, 200, 3), level, np.uint8), params, convention)


def test_only_uint8_colour_pictures_and_known_conventions(params, photo):
    for picture in (photo / np.float32(255), photo[..., 0]):
        with pytest.raises(ValueError, match="expected uint8"):
            niqe(picture, params)
    with pytest.raises(ValueError, match="expected one of"):
        niqe(photo, params, "matlab")


def test_memory_is_a_few_copies_of_the_picture(params, photo):
    picture = np.tile(photo, (4, 2, 1))
    for convention in metric.CONVENTIONS:
        tracemalloc.start()
        niqe(picture, params, convention)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 48 * picture.shape[0] * picture.shape[1]


def test_params_are_read_as_they_are(params_file, params, golden):
    assert str(CATALOGUE["niqe"].path) == metric.WEIGHTS
    stored = golden("niqe")[1]["pris_params"]["arrays"]
    with np.load(params_file) as archive:
        for name, value in params.items():
            assert value.dtype == np.float64
            assert value.shape == tuple(stored[name]["shape"])
            np.testing.assert_array_equal(value, archive[name])


def test_params_that_cannot_be_used(tmp_path, params_file, params):
    path = tmp_path / "niqe_pris_params.npz"
    with pytest.raises(UserError, match=r"no such file\. Remedy: python scripts/download_weights\.py niqe"):
        load_niqe(path)
    whole = params_file.read_bytes()
    for content in (b"", b"<html>", whole[:5000], whole[:6000] + bytes(50) + whole[6050:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a readable .npz file"):
            load_niqe(path)
    np.savez(path, **params | {"mu_pris_param": np.zeros((36, 1))})
    with pytest.raises(UserError, match=r"mu_pris_param has shape \(36, 1\), expected \(1, 36\)"):
        load_niqe(path)
    np.savez(path, mu_pris_param=params["mu_pris_param"])
    with pytest.raises(UserError, match="cov_pris_param is missing"):
        load_niqe(path)
