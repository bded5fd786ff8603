import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.distillation import losses
from metaf2n_tf.distillation.losses import TermWeights, distillation_weights


def test_schedule():
    """The published `10 * (10 - i) / 10`, for the epochs counted from 0."""
    expected = {0: (10.0, 0.1), 1: (9.0, 0.1), 9: (1.0, 0.1), 10: (0.0, 0.1), 11: None, 399: None}
    for epoch, weights in expected.items():
        assert distillation_weights(epoch) == pytest.approx(weights), epoch


def test_against_numpy():
    rng = np.random.default_rng(0)
    sides = [8, 4, 2, 1, 1, 2, 4, 8, 16]
    first, second = ([np.float32(rng.normal(size=(2, side, side, 4))) for side in sides] for _ in range(2))
    output, target, hq = (np.float32(rng.random((2, 16, 16, 3))) for _ in range(3))
    found = losses.distilled((first, output), (second, target), tf.constant(hq), TermWeights(7.0, 0.1))
    l1 = np.abs(output - hq).mean()
    feature = np.mean([np.abs(one - other).mean() for one, other in zip(first, second, strict=True)])
    soft = np.abs(output - target).mean()
    np.testing.assert_allclose(found, [l1 + 7 * feature + 0.1 * soft, l1, feature, soft], rtol=1e-5)
    np.testing.assert_allclose(losses.alone(output, hq), [l1, l1, 0, 0], rtol=1e-5)
