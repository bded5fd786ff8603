import json

import numpy as np
import pytest
import recipe
import srvgg_weights
import tensorflow as tf

from metaf2n_tf.networks import srvgg

FILES = {"full": "shapes_32.json", "narrow": "shapes_16_narrow.json"}


def load(golden, name):
    case, meta = golden("srvgg")
    state_dict = srvgg_weights.golden_state_dict(FILES[name], meta["seed"], meta["gain"])
    total = sum(np.abs(value.astype(np.float64)).sum() for value in state_dict.values())
    assert total == pytest.approx(meta[f"weights_abs_sum_{name}"], rel=1e-6)
    return srvgg_weights.to_params(state_dict), tf.constant(case[f"{name}_input"]), case[f"{name}_output"]


@pytest.mark.parametrize(("name", "tolerance"), [("full", 1e-4), ("narrow", 5e-5)])
def test_published_network_with_recipe_weights(golden, name, tolerance):
    params, images, expected = load(golden, name)
    np.testing.assert_allclose(srvgg.forward(params, images), expected, rtol=0, atol=tolerance)


def test_bfloat16_is_near(golden):
    """Each of 18 layers rounds to 8 bits, whose errors add up as a random walk: 2^-9 sqrt(18) = 0.8 % of the output."""
    params, images, expected = load(golden, "narrow")
    half = {name: tf.cast(value, tf.bfloat16) for name, value in params.items()}
    out = tf.cast(srvgg.forward(half, tf.cast(images, tf.bfloat16)), tf.float32)
    error = np.sqrt(np.mean((out - expected) ** 2)) / expected.std()
    assert 0 < error < 0.02


def by_definition(params, images):
    """PReLU as it is written down, and PyTorch's pixel shuffle: channel 16 c + 4 i + j goes to row i, column j."""
    count, x = srvgg.count_convs(params), images
    for index in range(count + 2):
        name = f"MODEL/body/{2 * index}"
        x = tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), params[f"{name}/weight"], 1, "VALID")
        x += params[f"{name}/bias"]
        if index <= count:
            x = tf.where(x > 0, x, params[f"MODEL/body/{2 * index + 1}/weight"] * x)
    batch, height, width, _ = x.shape
    planes = tf.transpose(tf.reshape(x, [batch, height, width, 3, 4, 4]), [0, 1, 4, 2, 5, 3])
    enlarged = tf.repeat(tf.repeat(images, 4, axis=1), 4, axis=2)
    return tf.reshape(planes, [batch, 4 * height, 4 * width, 3]) + enlarged


def test_gradients_of_both_orders_are_those_of_the_definition():
    params = {name: tf.constant(value) for name, value in srvgg_weights.make_tiny().items()}
    lq, hq = (tf.constant(recipe.image((2, size, size, 3), size)) for size in (6, 24))

    def derivatives(forward):
        """Of the loss after an SGD step, which is of second order in the weights before it."""
        with tf.GradientTape() as outer:
            outer.watch(params)
            with tf.GradientTape() as inner:
                inner.watch(params)
                loss = tf.reduce_mean((hq - forward(params, lq)) ** 2)
            first = inner.gradient(loss, params)
            after = tf.reduce_mean((hq - forward({n: v - first[n] for n, v in params.items()}, lq)) ** 2)
        return {**{f"first {name}": value for name, value in first.items()}, **outer.gradient(after, params)}

    ours, expected = derivatives(srvgg.forward), derivatives(by_definition)
    assert len(ours) == 2 * len(params)
    for name, value in expected.items():
        assert np.abs(value).max() > 0, name
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-4 * np.abs(value).max(), err_msg=name)


@pytest.mark.parametrize(("name", "depth", "width", "total"), [("full", 32, 64, 1_213_296), ("narrow", 16, 24, None)])
def test_variable_shapes_are_the_published_ones(root, name, depth, width, total):
    published = json.loads((root / "tests" / "golden" / "srvgg" / FILES[name]).read_text())
    shapes = srvgg.variable_shapes(depth, width)
    ours = {
        name.removeprefix("MODEL/").replace("/", "."): [shape[3], shape[2], 3, 3] if len(shape) == 4 else list(shape)
        for name, shape in shapes.items()
    }
    assert list(ours.items()) == list(published.items())
    assert srvgg.count_convs(shapes) == depth
    if total:
        assert sum(int(np.prod(shape)) for shape in shapes.values()) == total


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_count_convs_counts_from_any_mapping_of_the_names(depth):
    assert srvgg.count_convs(dict.fromkeys(reversed(srvgg.variable_shapes(depth, 3)))) == depth
