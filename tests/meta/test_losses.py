import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.meta import losses


def published_step_weights(step, task_iter):
    """MZSR's get_loss_weights, number by number."""
    decay, least = 1.0 / task_iter / (10000 / 3), 0.03 / task_iter
    others = np.maximum(np.full(task_iter - 1, 1.0 / task_iter) - step * decay, least)
    last = min(1.0 / task_iter + step * (task_iter - 1) * decay, 1.0 - (task_iter - 1) * least)
    return [*others, last]


@pytest.mark.parametrize("task_iter", [1, 2, 5])
@pytest.mark.parametrize("step", [0, 100, 3233, 10**6])
def test_step_weights_are_mzsrs(step, task_iter):
    weights = losses.step_weights(step, task_iter).numpy()
    np.testing.assert_allclose(weights, published_step_weights(step, task_iter), rtol=1e-5)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)


def test_step_weights_start_equal():
    np.testing.assert_allclose(losses.step_weights(0, 4), [0.25] * 4)


def test_real_and_fake_are_sigmoid_cross_entropies():
    logits = tf.constant([[-60.0, -1.0, 0.0], [2.0, 5.0, 60.0]])
    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    np.testing.assert_allclose(losses.real_loss(logits), np.mean(entropy(tf.ones_like(logits), logits)), rtol=1e-6)
    np.testing.assert_allclose(losses.fake_loss(logits), np.mean(entropy(tf.zeros_like(logits), logits)), rtol=1e-6)


def test_outer_loss_is_weighted_as_published():
    terms = losses.OuterTerms(l1=2.0, lpips=3.0, gan=5.0, mask=7.0)
    assert terms.total(losses.PUBLISHED_WEIGHTS) == pytest.approx(2.0 + 0.5 * 3.0 + 0.1 * 5.0 + 0.002 * 7.0)
    assert losses.mask_term(tf.constant([1.0, 3.0])).numpy() == pytest.approx(1.0)


def test_windows_are_parts_of_the_picture_enlarged():
    """Seen through them, a picture whose values are its coordinates shows evenly spaced ones."""
    count, side = 9, 32
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    picture = np.float32(np.stack([rows, columns], -1))
    windows = losses.draw_windows(tf.constant([3, 0]), count, side)
    seen = losses.see_windows(windows, np.repeat(picture[None], count, 0)).numpy()
    firsts, steps = seen[:, 0, 0], seen[:, 1, 1] - seen[:, 0, 0]
    assert np.all(steps[:, 0] > 0.699)
    assert np.all(steps[:, 0] <= 1)
    assert np.ptp(steps[:, 0]) > 0.1
    assert np.all(firsts >= 0)
    assert np.all(np.ptp(firsts, axis=0) > 1)
    index = np.stack([rows, columns], -1)
    np.testing.assert_allclose(seen, firsts[:, None, None] + steps[:, None, None] * index, atol=2e-4)
    assert seen.max() <= side - 1 + 1e-4
    again = losses.draw_windows(tf.constant([3, 0]), count, side)
    np.testing.assert_array_equal(again[0], windows[0])
    assert not np.array_equal(losses.draw_windows(tf.constant([4, 0]), count, side)[0], windows[0])
