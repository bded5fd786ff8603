import numpy as np
import pytest
import recipe
import srvgg_weights
import tensorflow as tf

from metaf2n_tf.networks import context_srvgg, sr, srvgg
from metaf2n_tf.tiles import SuperResolver


@pytest.fixture(scope="module")
def drawn():
    return srvgg_weights.make_tiny_context()


@pytest.fixture(scope="module")
def trained(drawn):
    return srvgg_weights.perturbed(drawn)


@pytest.mark.parametrize("size", [(24, 32), (5, 7), (23, 30), (1, 1)])
def test_a_drawn_branch_changes_nothing_and_a_trained_one_does(drawn, trained, size):
    """On sizes that are multiples of 8 and others."""
    images = recipe.image((2, *size, 3), 1)
    plain = srvgg.forward(drawn, images).numpy()
    assert plain.shape == (2, 4 * size[0], 4 * size[1], 3)
    np.testing.assert_array_equal(context_srvgg.forward(drawn, images), plain)
    out = context_srvgg.forward(trained, images).numpy()
    assert out.shape == plain.shape
    assert np.abs(out - plain).max() > 1e-4


@pytest.mark.parametrize("num_conv", [2, 7])
def test_a_short_stack_has_its_branch_too(num_conv):
    params = srvgg_weights.perturbed(srvgg_weights.make_tiny_context(num_conv))
    images = tf.constant(recipe.image((1, 16, 16, 3), 1))
    params = {name: tf.constant(value) for name, value in params.items()}
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = tf.reduce_mean(context_srvgg.forward(params, images) ** 2)
    gradient = tape.gradient(loss, params)
    assert [name for name, value in gradient.items() if value is None or not np.any(value)] == []


@pytest.mark.parametrize("size", [(24, 32), (23, 30)])
def test_unknown_shapes_give_the_same(trained, size):
    images = recipe.image((1, *size, 3), 1)
    unknown = [tf.TensorSpec((None, None, None, 3), tf.float32)]
    forward = tf.function(lambda x: context_srvgg.forward(trained, x), unknown, autograph=False)
    np.testing.assert_allclose(forward(images), context_srvgg.forward(trained, images), rtol=0, atol=1e-6)


def test_what_lies_beyond_the_picture_is_its_border_repeated(trained):
    """The stack sees zeros there, but the branch, which needs a multiple of 8, the last row and column again."""
    features = tf.constant(recipe.image((1, 13, 10, 3), 1))
    features = tf.concat([features] * 3, -1)[..., :8]
    extended = tf.concat([features, tf.repeat(features[:, -1:], 3, axis=1)], 1)
    extended = tf.concat([extended, tf.repeat(extended[:, :, -1:], 6, axis=2)], 2)
    whole = context_srvgg._with_context(trained, extended)[:, :13, :10]
    np.testing.assert_allclose(context_srvgg._with_context(trained, features), whole, rtol=0, atol=1e-6)


def reach(forward, params, size=64):
    """How far to the right of its left border a picture's first column has any influence, in LQ pixels."""
    images = recipe.image((1, 16, size, 3), 1)
    other = images.copy()
    other[:, :, 0] = 1 - other[:, :, 0]
    change = np.abs(forward(params, images).numpy() - forward(params, other).numpy()).max(axis=(0, 1, 3))
    return np.flatnonzero(change.reshape(-1, 4).max(axis=1))[-1]


def test_the_branch_sees_far_beyond_the_stack(trained):
    depth = srvgg.count_convs(trained)
    assert reach(srvgg.forward, trained) <= depth + 2
    assert depth + 2 + 20 < reach(context_srvgg.forward, trained) <= sr.receptive_field(trained)


def test_variable_shapes_are_those_of_the_drawn_branch():
    branch = context_srvgg.initial_branch(24, (4, 5), seed=3)
    shapes = context_srvgg.variable_shapes(16, 24, (4, 5))
    assert {name: value.shape for name, value in branch.items()} == {
        name: shape for name, shape in shapes.items() if name.startswith(context_srvgg.SCOPE)
    }
    assert context_srvgg.count_levels(shapes) == 2
    assert {value.dtype for value in branch.values()} == {np.dtype(np.float32)}
    other = context_srvgg.initial_branch(24, (4, 5), seed=4)
    assert not np.array_equal(
        branch[f"{context_srvgg.SCOPE}/down0/weight"], other[f"{context_srvgg.SCOPE}/down0/weight"]
    )


@pytest.mark.parametrize("size", [(160, 264), (157, 274)])
def test_tiles_have_no_seams(trained, size, monkeypatch):
    """The branch's grid of 8 pixels must lie in each tile as it lies in the picture."""
    photo = recipe.image((*size, 3), 1)
    whole = SuperResolver(tile=0)(trained, photo)
    for tile in (32, 45):
        np.testing.assert_allclose(SuperResolver(tile)(trained, photo), whole, rtol=0, atol=1e-3)
    monkeypatch.setattr(sr, "unit", lambda _: 1)
    assert np.abs(SuperResolver(45)(trained, photo) - whole).max() > 5e-3
