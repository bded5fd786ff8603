import functools

import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.networks import alexnet, lpips
from metaf2n_tf.weights.lpips import load_lpips


@pytest.fixture(scope="module")
def params(root):
    """The real weights, which `make` downloads."""
    return load_lpips(root / "weights" / "lpips-alex.npz")


@pytest.fixture(scope="module")
def shifted(params):
    """Real weights in float64, biases lowered so that plain surfaces give no features at all."""
    wide = {name: tf.constant(value, tf.float64) for name, value in params.items()}
    return wide | {"AlexNet_0/Conv_0/bias": wide["AlexNet_0/Conv_0/bias"] - 2.0}


def pictures(dtype, size=40, seed=0):
    """(2, size, size, 3) with noise; the first one's upper half is plain."""
    x, y = np.random.default_rng(seed).random((2, 2, size, size, 3))
    x[:, : size // 2] = 0.5
    return tf.constant(x, dtype), tf.constant(y, dtype)


def golden_pair(case, expected):
    pair = (case[expected[name]] for name in ("a", "b"))
    return [np.float32(x)[None] / np.float32(255) if x.dtype == np.uint8 else x for x in pair]


@pytest.mark.parametrize("pair", range(5))
def test_published_distances(golden, params, pair):
    case, meta = golden("lpips")
    expected = meta["cases"][pair]
    first, second = golden_pair(case, expected)
    close = {"rtol": meta["tolerance"]["rel"], "atol": meta["tolerance"]["abs"]}
    layers = lpips.layer_distances(params, first, second)
    np.testing.assert_allclose(tf.squeeze(layers), expected["per_layer"], **close)
    np.testing.assert_allclose(lpips.distance(params, first, second), [expected["distance"]], **close)
    np.testing.assert_allclose(lpips.distance(params, second, first), [expected["distance"]], **close)


def test_a_batch_gives_what_its_pictures_give(golden, params):
    case, meta = golden("lpips")
    pairs = [golden_pair(case, expected) for expected in meta["cases"][:2]]
    first, second = (np.concatenate(x) for x in zip(*pairs, strict=True))
    found = tf.function(lpips.distance, jit_compile=True)(params, first, second)
    assert (found.dtype, found.shape) == (tf.float32, (2,))
    np.testing.assert_allclose(found, [expected["distance"] for expected in meta["cases"][:2]], rtol=1e-4)
    np.testing.assert_array_equal(lpips.distance(params, first, first), [0, 0])


def test_features_have_the_sizes_of_torchvision_and_the_dtype_of_the_params(params):
    for dtype in (tf.float32, tf.float64, tf.bfloat16):
        cast = {name: tf.cast(value, dtype) for name, value in params.items()}
        maps = alexnet.features(cast, tf.zeros([2, 64, 81, 3], dtype))
        assert [x.shape for x in maps] == [(2, 15, 19, 64), (2, 7, 9, 192), *[(2, 3, 4, n) for n in (384, 256, 256)]]
        assert {x.dtype for x in maps} == {dtype}
    maps = alexnet.features(params, tf.zeros([1, alexnet.MIN_SIDE, alexnet.MIN_SIDE, 3]))
    assert maps[-1].shape == (1, 1, 1, 256)


def test_pooling_is_tensorflows():
    for size in (7, 8):
        x = tf.random.stateless_normal([2, size, size + 1, 3], [1, 2])
        np.testing.assert_array_equal(alexnet.differentiable_max_pool(x), alexnet.max_pool(x))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_stays_close(params, dtype):
    first, second = pictures(tf.float32)
    half = {name: tf.cast(value, dtype) for name, value in params.items()}
    found = lpips.distance(half, first, second)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, lpips.distance(params, first, second), rtol=0.03)


def derivatives(params, first, second):
    """Distance, its gradient with respect to the first picture, and the gradient of that gradient's square."""
    with tf.GradientTape() as outer:
        outer.watch(first)
        with tf.GradientTape() as inner:
            inner.watch(first)
            distance = lpips.distance(params, first, second)
        gradient = inner.gradient(distance, first)
        square = tf.reduce_sum(gradient**2)
    return distance, gradient, square, outer.gradient(square, first)


def test_gradients_are_right_where_all_features_are_zero(shifted):
    first, second = pictures(tf.float64)
    sizes = [np.abs(x).sum(-1) for x in alexnet.features(shifted, (2 * first - 1) / 0.45)[:1]]
    assert 0.2 < np.mean(sizes[0] == 0) < 0.8
    run = tf.function(functools.partial(derivatives, shifted))
    _, gradient, _, second_gradient = run(first, second)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(second_gradient))
    assert np.abs(gradient).max() > 0
    step = 1e-6
    direction = tf.constant(np.random.default_rng(1).standard_normal(first.shape))
    above, below = (run(first + sign * step * direction, second) for sign in (1, -1))
    slope = tf.reduce_sum(above[0] - below[0]) / (2 * step)
    np.testing.assert_allclose(tf.reduce_sum(gradient * direction), slope, rtol=1e-5)
    slope = (above[2] - below[2]) / (2 * step)
    np.testing.assert_allclose(tf.reduce_sum(second_gradient * direction), slope, rtol=1e-4)


def test_gradients_of_equal_and_of_featureless_pictures(params):
    blind = params | {"AlexNet_0/Conv_1/bias": params["AlexNet_0/Conv_1/bias"] - 1000}
    picture, _ = pictures(tf.float32)
    run = tf.function(derivatives)
    for result in (*run(blind, picture, tf.zeros_like(picture)), *run(params, picture, picture)):
        assert np.all(np.isfinite(result))


def test_normalising_has_finite_derivatives_at_and_near_zero():
    for size in (0.0, 1e-30, 1e-19, 1e-12, 1e-10, 1e-6):
        x = tf.fill([1, 4], tf.constant(size))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = lpips._normalise(x)[..., 0]
            gradient = inner.gradient(y, x)
        for result in (y, gradient, outer.gradient(gradient, x)):
            assert np.all(np.isfinite(result)), size


def test_second_derivatives_under_xla(params):
    first, second = pictures(tf.float32)
    plain = derivatives(params, first, second)
    compiled = tf.function(derivatives, jit_compile=True)(params, first, second)
    for found, expected in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
