import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.meta import inner_loop
from metaf2n_tf.networks import rrdbnet


@pytest.fixture(scope="module")
def adapted(golden, golden_mask, real_params):
    """Five published steps on the case's patches, and the first gradient."""
    case, meta = golden("masknet")
    lq, hq = ((case[name] / 255.0).astype(np.float32) for name in ("inputa_uint8", "labela_uint8"))
    params = {name: tf.constant(value) for name, value in real_params.items()}
    result = inner_loop.adapt(params, golden_mask, lq, hq, meta["lr"], 5)
    _, gradient = inner_loop.inner_gradient(params, result.weight_map, lq, hq)
    last_loss = inner_loop.inner_loss(result.params[-1], result.weight_map, lq, hq)
    return result, gradient, last_loss


def test_losses_are_the_published_ones(golden, adapted):
    case, _ = golden("masknet")
    result, _, last_loss = adapted
    np.testing.assert_allclose([*result.losses, last_loss], case["loss"], rtol=0, atol=5e-8)


def test_gradient_norms_are_the_published_ones(golden, adapted):
    case, meta = golden("masknet")
    _, gradient, _ = adapted
    assert list(gradient) == meta["sr_variables"]
    norms = [np.linalg.norm(value) for value in gradient.values()]
    np.testing.assert_allclose(norms, case["grad_norm"], rtol=2e-2)


@pytest.mark.parametrize("steps", [1, 5])
def test_weights_and_outputs_after_steps(golden, adapted, real_params, steps):
    case, _ = golden("masknet")
    params = adapted[0].params[steps - 1]
    photo = (case["inputb_uint8"] / 255.0).astype(np.float32)
    out, before = rrdbnet.forward(params, photo).numpy(), rrdbnet.forward(real_params, photo).numpy()
    np.testing.assert_allclose(out, case[f"out_{steps}"], rtol=0, atol=2e-4)
    np.testing.assert_allclose(out - before, case[f"out_{steps}"] - case["out_0"], rtol=0, atol=5e-5)
    for name in ("conv_first/bias", "conv_last/weight", "conv_last/bias"):
        np.testing.assert_allclose(params[f"MODEL/{name}"], case[f"step{steps}/MODEL/{name}"], rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def task():
    """A tiny task in float64: weights, MaskNet, LQ and HQ patches."""
    from conftest import make_tiny_sr

    from metaf2n_tf.networks import masknet

    params = {name: tf.constant(value, tf.float64) for name, value in make_tiny_sr().items()}
    mask = recipe.weights(masknet.variable_shapes(), 2, "tf")
    mask["Mask/conv8/bias"] = np.float32([0.3])
    lq = tf.constant(recipe.image((2, 6, 6, 3), 3), tf.float64)
    hq = tf.constant(recipe.image((2, 24, 24, 3), 4), tf.float64)
    return params, {name: tf.constant(value) for name, value in mask.items()}, lq, hq


def outer(params, lq):
    return tf.reduce_sum(rrdbnet.forward(params, lq[:1]) ** 2)


def test_second_order_gradient_against_finite_differences(task):
    params, _, lq, hq = task
    name = "MODEL/conv_body/weight"
    direction = tf.constant(recipe.draw(name, params[name].shape, 9, "tf"), tf.float64)

    def value(shift):
        moved = {**params, name: params[name] + shift * direction}
        return outer(inner_loop.adapt(moved, None, lq, hq, 0.5, 2).params[-1], lq)

    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = outer(inner_loop.adapt(params, None, lq, hq, 0.5, 2).params[-1], lq)
    slope = tf.reduce_sum(tape.gradient(loss, params)[name] * direction)
    step = 1e-6
    np.testing.assert_allclose(slope, (value(step) - value(-step)) / (2 * step), rtol=1e-4)


def test_first_order_differs_and_ignores_the_inner_gradient(task):
    params, _, lq, hq = task

    def meta_gradient(first_order):
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = outer(inner_loop.adapt(params, None, lq, hq, 0.5, 1, first_order).params[-1], lq)
        return tape.gradient(loss, params)["MODEL/conv_body/weight"].numpy()

    adapted = inner_loop.adapt(params, None, lq, hq, 0.5, 1).params[-1]
    with tf.GradientTape() as tape:
        tape.watch(adapted)
        loss = outer(adapted, lq)
    at_adapted = tape.gradient(loss, adapted)["MODEL/conv_body/weight"].numpy()
    np.testing.assert_allclose(meta_gradient(True), at_adapted, rtol=1e-9, atol=1e-15)
    assert np.abs(meta_gradient(False) - at_adapted).max() > 1e-3 * np.abs(at_adapted).max()


def test_masknet_learns_through_the_step_but_is_not_adapted(task):
    params, mask, lq, hq = task
    params = {name: tf.cast(value, tf.float32) for name, value in params.items()}
    lq, hq = tf.cast(lq, tf.float32), tf.cast(hq, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(mask)
        result = inner_loop.adapt(params, mask, lq, hq, 0.5, 1)
        loss = outer(result.params[-1], lq)
    assert set(result.params[-1]) == set(params)
    assert np.abs(tape.gradient(loss, mask)["Mask/conv1/kernel"]).max() > 0
    assert result.weight_map.shape == (2, 24, 24, 1)


def test_weights_given_are_left_as_they_are(task):
    params, _, lq, hq = task
    before = {name: value.numpy() for name, value in params.items()}
    result = inner_loop.adapt(params, None, lq, hq, 0.01, 3)
    assert len(result.params) == len(result.losses) == 3
    assert float(result.losses[2]) < float(result.losses[0])
    for name, value in before.items():
        np.testing.assert_array_equal(params[name], value)
