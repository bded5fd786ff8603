import numpy as np
import pytest
import recipe
import tensorflow as tf
from scipy.ndimage import correlate
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.metrics import dists
from metaf2n_tf.networks import vgg16
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def params(golden):
    _, meta = golden("dists")
    drawn = recipe.weights(dists.variable_shapes(), meta["seed"], "tf", meta["gain"])
    params = drawn | {name: np.abs(drawn[name]) for name in ("alpha", "beta")}
    total = sum(np.abs(value, dtype=np.float64).sum() for value in params.values())
    assert total == pytest.approx(meta["weights_abs_sum"], rel=1e-9)
    return params


@pytest.fixture(scope="module")
def wide(params):
    return {name: tf.constant(value, tf.float64) for name, value in params.items()}


def pictures(case):
    first, other = (recipe.image((1, *case["shape"], 3), case[seed]) for seed in ("seed0", "seed1"))
    blend = np.float32(case["blend"])
    return first, (1 - blend) * first + blend * other


@pytest.mark.parametrize("index", range(3))
def test_published_distances(golden, params, wide, index):
    _, meta = golden("dists")
    expected, tolerance = meta["cases"][index], meta["tolerance"]
    first, second = pictures(expected)
    for pair in ((first, second), (second, first)):
        found = dists.distance(params, *pair)
        assert (found.dtype, found.shape) == (tf.float32, (1,))
        np.testing.assert_allclose(found, [expected["distance"]], rtol=0, atol=tolerance["abs"])
        found = dists.distance(wide, *pair)
        assert found.dtype == tf.float64
        np.testing.assert_allclose(found, [expected["distance_float64"]], rtol=0, atol=tolerance["abs_float64"])


def published_formula(params, input0, input1):
    """The formula as published, in plain NumPy, float64, on pictures (H, W, 3)."""
    params = {name: np.float64(value) for name, value in params.items()}
    side = np.hanning(5)[1:-1]
    blur = (np.outer(side, side) / np.outer(side, side).sum())[:, :, None]

    def convolve(x, name):
        kernel = params[f"{name}/kernel"]
        padded = np.pad(x, [(1, 1), (1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
        return np.maximum(np.einsum("hwcij,ijco->hwo", windows, kernel, optimize=True) + params[f"{name}/bias"], 0)

    def stages(x):
        found = [np.float64(x)]
        x = (found[0] - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        for index in range(13):
            if index in (2, 4, 7, 10):
                found.append(x)
                x = np.sqrt(correlate(x**2, blur, mode="constant")[::2, ::2] + 1e-12)
            x = convolve(x, f"VGG16_0/Conv_{index}")
        return [*found, x]

    alpha, beta = params["alpha"].ravel(), params["beta"].ravel()
    total = alpha.sum() + beta.sum()
    score, channel = 0.0, 0
    for x, y in zip(stages(input0), stages(input1), strict=True):
        at = slice(channel, channel := channel + x.shape[-1])
        x_mean, y_mean = x.mean((0, 1)), y.mean((0, 1))
        covariance = (x * y).mean((0, 1)) - x_mean * y_mean
        texture = (2 * x_mean * y_mean + 1e-6) / (x_mean**2 + y_mean**2 + 1e-6)
        structure = (2 * covariance + 1e-6) / (x.var((0, 1)) + y.var((0, 1)) + 1e-6)
        score += (alpha[at] * texture + beta[at] * structure).sum() / total
    assert channel == alpha.size
    return 1 - score


def test_plain_numpy_gives_the_same(wide):
    """Pictures of noise, far from the golden ones, of a flat one, and of sides down to 1."""
    for height, width in ((21, 34), (5, 1)):
        first, second = np.random.default_rng(3).random((2, 1, height, width, 3))
        for other in (second, np.full_like(first, 0.3)):
            expected = published_formula(wide, first[0], other[0])
            np.testing.assert_allclose(dists.distance(wide, first, other), [expected], rtol=1e-8)


def test_stages_add_up(wide):
    first, second = np.random.default_rng(4).random((2, 2, 20, 24, 3))
    stages = dists.stage_distances(wide, dists.stages(wide, first), dists.stages(wide, second))
    assert [stage.shape for stage in stages] == [(2,)] * 6
    assert np.min(stages) > 0
    np.testing.assert_allclose(np.sum(stages, axis=0), dists.distance(wide, first, second), rtol=1e-12)


def test_a_batch_gives_what_its_pictures_give(golden, params):
    _, meta = golden("dists")
    cases = meta["cases"][:2]
    first, second = (np.concatenate(x) for x in zip(*map(pictures, cases), strict=True))
    found = tf.function(dists.distance)(params, first, second)
    np.testing.assert_allclose(found, [case["distance"] for case in cases], rtol=0, atol=meta["tolerance"]["abs"])
    np.testing.assert_array_equal(dists.distance(params, first, first), [0, 0])


def test_gradients_are_right_and_finite_for_equal_pictures(wide):
    first, second = map(tf.constant, np.random.default_rng(5).random((2, 1, 16, 18, 3)))
    with tf.GradientTape() as tape:
        tape.watch(first)
        distance = dists.distance(wide, first, second)
    gradient = tape.gradient(distance, first)
    direction = np.random.default_rng(6).standard_normal(first.shape)
    above, below = (dists.distance(wide, first + sign * 1e-6 * direction, second) for sign in (1, -1))
    np.testing.assert_allclose(tf.reduce_sum(gradient * direction), (above - below)[0] / 2e-6, rtol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(first)
        distance = dists.distance(wide, first, tf.constant(first.numpy()))
    assert np.all(np.isfinite(tape.gradient(distance, first)))


@pytest.fixture
def folder(params, tmp_path):
    """Weight files as `scripts/download_weights.py` leaves them."""
    npz.write_npz(tmp_path / "dists.npz", {name: params[name] for name in vgg16.variable_shapes()})
    write_channel_weights(tmp_path, {name: params[name] for name in ("alpha", "beta")})
    return tmp_path


def write_channel_weights(folder, channel_weights):
    content = {name: value.transpose(0, 2, 1, 3) for name, value in channel_weights.items()}  # (1, 1475, 1, 1)
    write_pth(folder / "dists-weights.pt", content)


def test_weights_are_read_from_two_files(folder, params):
    found = dists.load_dists(folder / "dists.npz")
    assert {name: value.shape for name, value in found.items()} == dists.variable_shapes()
    for name, value in params.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(("file", "entry"), [("dists.npz", "dists"), ("dists-weights.pt", "dists-weights")])
def test_missing_weights_come_with_the_remedy(folder, file, entry):
    assert CATALOGUE[entry].file == file
    (folder / file).unlink()
    message = rf"{file}: no such file. Remedy: python scripts/download_weights.py {entry}$"
    with pytest.raises(UserError, match=message):
        dists.load_dists(folder / "dists.npz")


def test_other_variables_are_refused(folder, params):
    write_channel_weights(folder, {"alpha": params["alpha"]})
    with pytest.raises(UserError, match="dists-weights.pt: variable beta is missing"):
        dists.load_dists(folder / "dists.npz")
    write_channel_weights(folder, {"alpha": params["alpha"], "beta": params["beta"][:, :, :-1]})
    with pytest.raises(UserError, match="variable beta has shape"):
        dists.load_dists(folder / "dists.npz")
    npz.write_npz(folder / "dists.npz", {"alpha": params["alpha"]})
    with pytest.raises(UserError, match=r"dists.npz: variable VGG16_0/Conv_0/kernel is missing"):
        dists.load_dists(folder / "dists.npz")


def test_the_weights_lie_where_they_are_looked_for():
    assert str(CATALOGUE["dists"].path) == dists.WEIGHTS
