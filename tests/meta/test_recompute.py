import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.meta.recompute import recompute


def layer(x, w):
    for _ in range(3):
        x = tf.tanh(tf.matmul(x, w))
    return x


def two(x, w):
    return [tf.sin(tf.matmul(x, w)), x * x]


@pytest.fixture(scope="module")
def tensors():
    return tf.random.stateless_normal([4, 8], [0, 1]), tf.random.stateless_normal([8, 8], [0, 2]) / 3


def inner_and_outer(function, x, w):
    """A loss after a gradient step, and its derivatives."""
    with tf.GradientTape() as outer:
        outer.watch([x, w])
        with tf.GradientTape() as inner:
            inner.watch(w)
            loss = tf.reduce_sum(function(function(x, w), w) ** 2)
        adapted = w - 0.1 * inner.gradient(loss, w)
        after = tf.reduce_sum(function(x, adapted) ** 3)
    return [loss, after, *outer.gradient(after, [x, w])]


@pytest.mark.parametrize("xla", [False, True])
def test_first_and_second_order_are_those_of_the_plain_function(tensors, xla):
    def run(function):
        return tf.function(lambda x, w: inner_and_outer(function, x, w), jit_compile=xla, autograph=False)(*tensors)

    for ours, plain in zip(run(recompute(layer, xla)), run(layer), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)


def test_third_order(tensors):
    def third(function):
        x, w = tensors
        with tf.GradientTape() as tape:
            tape.watch(w)
            gradient = inner_and_outer(function, x, w)[3]
            norm = tf.reduce_sum(gradient**2)
        return tape.gradient(norm, w)

    np.testing.assert_allclose(third(recompute(layer, False)), third(layer), rtol=1e-3, atol=1e-3)


def test_several_outputs_and_unused_ones(tensors):
    def derivative(function):
        x, w = tensors
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.reduce_sum(function(x, w)[1])  # does not depend on w
        return tape.gradient(y, [x, w], unconnected_gradients=tf.UnconnectedGradients.ZERO)

    for ours, plain in zip(derivative(recompute(two, False)), derivative(two), strict=True):
        np.testing.assert_allclose(ours, plain)


def count(operations, function, tensors):
    concrete = tf.function(lambda x, w: inner_and_outer(function, x, w), autograph=False).get_concrete_function(
        *tensors
    )
    return sum(node.op == operations for node in concrete.graph.as_graph_def().node)


def test_it_does_compute_again(tensors):
    assert count("Tanh", recompute(layer, False), tensors) > count("Tanh", layer, tensors)
