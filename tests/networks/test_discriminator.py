import json

import numpy as np
import pytest
import tensorflow as tf
from discriminator_weights import published_weights, to_params

from metaf2n_tf.networks import discriminator


@pytest.fixture(scope="module")
def published(golden, root):
    case, meta = golden("discriminator")
    shapes = json.loads((root / "tests/golden/discriminator/shapes.json").read_text())
    state = published_weights(shapes, meta["seed"], meta["spectral_iterations"])
    total = sum(np.abs(value.astype(np.float64)).sum() for value in state.values())
    np.testing.assert_allclose(total, meta["weights_abs_sum"], rtol=1e-6)
    return case, to_params(state)


def test_published_logits(published):
    case, params = published
    for name in discriminator.NORMALIZED:
        np.testing.assert_allclose(params[f"Discriminator/{name}/u"][0], case[f"{name}.weight_u"], atol=1e-6)
    normalized, _ = discriminator.normalize(tf.nest.map_structure(tf.constant, params))
    np.testing.assert_allclose(discriminator.forward(normalized, case["input"]), case["tf1_output"], rtol=0, atol=1e-5)


def test_published_singular_values(published):
    case, params = published
    normalized, _ = discriminator.normalize(params)
    found = [np.ravel(params[name])[0] / np.ravel(normalized[name])[0] for name in kernel_names()]
    np.testing.assert_allclose(found, case["tf1_sigma"], rtol=1e-5)


def kernel_names():
    return [f"Discriminator/{conv}/weight" for conv in discriminator.NORMALIZED]


def test_iterating_makes_kernels_of_norm_one():
    params = discriminator.initial_params(seed=2, width=4)
    for _ in range(200):
        normalized, advanced = discriminator.normalize(params)
        params |= {name: value.numpy() for name, value in advanced.items()}
    for name in kernel_names():
        matrix = np.reshape(normalized[name], [-1, normalized[name].shape[-1]])
        np.testing.assert_allclose(np.linalg.norm(matrix, 2), 1.0, rtol=1e-4)


def test_gradient_goes_through_the_singular_value_only():
    """d(kernel / sigma) with u and v held fixed: a kernel's own direction has no gradient left."""
    params = tf.nest.map_structure(tf.constant, discriminator.initial_params(seed=3, width=2))
    name = "Discriminator/conv4/weight"
    weights = tf.random.stateless_normal(params[name].shape, [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(params)
        normalized, advanced = discriminator.normalize(params)
        value = tf.reduce_sum(normalized[name] * weights)
    gradient = tape.gradient(value, params)
    matrix = tf.reshape(params[name], [-1, params[name].shape[-1]])
    u = advanced["Discriminator/conv4/u"]
    v = tf.linalg.normalize(tf.matmul(params["Discriminator/conv4/u"], matrix, transpose_b=True))[0]
    sigma = tf.reduce_sum(tf.matmul(v, matrix) * u)
    outer = tf.reshape(tf.matmul(v, u, transpose_a=True), weights.shape)
    expected = weights / sigma - tf.reduce_sum(weights * params[name]) / sigma**2 * outer
    np.testing.assert_allclose(gradient[name], expected, rtol=1e-4, atol=1e-5)
    assert gradient["Discriminator/conv4/u"] is None or not np.any(gradient["Discriminator/conv4/u"])


def test_names_and_initial_weights():
    params = discriminator.initial_params(seed=1)
    shapes = discriminator.variable_shapes()
    assert {name: value.shape for name, value in params.items()} == shapes
    assert set(discriminator.trained(params)) == {name for name in shapes if not name.endswith("/u")}
    kernel = params["Discriminator/conv4/weight"]
    bound = 1 / np.sqrt(9 * 512)
    assert 0.99 * bound < np.abs(kernel).max() <= bound
    for name in discriminator.NORMALIZED:
        np.testing.assert_allclose(np.linalg.norm(params[f"Discriminator/{name}/u"]), 1, rtol=1e-6)
