import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.errors import UserError
from metaf2n_tf.metrics import lpips
from metaf2n_tf.weights.lpips import load_lpips


@pytest.fixture(scope="module")
def params(root):
    """The real weights, which `make` downloads."""
    return load_lpips(root / "weights" / "lpips-alex.npz")


@pytest.fixture
def at_root(root, monkeypatch):
    monkeypatch.chdir(root)


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("leading", [(), (2,), (3, 2), (1, 2, 1)])
def test_call_of_lpips_tensorflow(params, leading):
    first, second = np.random.default_rng(2).random((2, *leading, 32, 35, 3))
    found = lpips.lpips(first, second, model="net-lin", net="alex")
    assert (found.dtype, found.shape) == (tf.float32, leading)
    flat = lpips.distance(params, first.reshape(-1, 32, 35, 3), second.reshape(-1, 32, 35, 3))
    np.testing.assert_allclose(tf.reshape(found, [-1]), flat, rtol=1e-6)


@pytest.mark.usefixtures("at_root")
def test_call_inside_functions_of_unknown_shapes(params):
    lpips._load_once.cache_clear()  # so that the first function is what loads the weights
    first, second = np.random.default_rng(0).random((2, 2, 40, 40, 3), np.float32)
    expected = lpips.distance(params, first, second)
    unknown = tf.TensorSpec([None, None, None, 3], tf.float32)
    for function in (tf.function(lpips.lpips, input_signature=[unknown, unknown]), tf.function(lpips.lpips)):
        np.testing.assert_allclose(function(first, second), expected, rtol=1e-5)
    assert lpips._load_once.cache_info().misses == 1


@pytest.mark.parametrize("other", [{"model": "net"}, {"net": "vgg"}, {"version": 0.0}])
def test_other_models_are_refused(other):
    with pytest.raises(UserError, match=r"not there, only model='net-lin', net='alex', version=0.1"):
        lpips.lpips(np.zeros([32, 32, 3]), np.zeros([32, 32, 3]), **other)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((30, 64, 3), (30, 64, 3), "64x30 pixels are too small, AlexNet needs sides of 31"),
        ((2, 64, 64, 3), (3, 64, 64, 3), "shapes differ"),
        ((64, 64), (64, 64), r"\(64, 64\), expected \(..., height, width, 3\)"),
        ((64, 64, 1), (64, 64, 1), "expected"),
    ],
)
def test_pictures_of_wrong_shapes_are_refused(first, second, message):
    with pytest.raises(UserError, match=message):
        lpips.lpips(np.zeros(first), np.zeros(second))


def test_whole_numbers_are_refused():
    with pytest.raises(UserError, match="uint8, expected floating point"):
        lpips.lpips(np.zeros([32, 32, 3], np.uint8), np.zeros([32, 32, 3], np.uint8))


def test_missing_weights_come_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = r"lpips-alex.npz: no such file. Remedy: python scripts/download_weights.py lpips-alex"
    with pytest.raises(UserError, match=message):
        lpips.lpips(np.zeros([32, 32, 3]), np.zeros([32, 32, 3]))
