import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.distillation.losses import TermWeights
from metaf2n_tf.distillation.step import TrainingStep, initial_state
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.networks.kdfsrnet import Architecture

STUDENT, TEACHER = Architecture(3, 16, 1), Architecture(6, 16, 1)
RATE = 1e-3


def faces(seed=0, count=2):
    return tf.constant(np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 9), np.uint8))


@pytest.fixture(scope="module")
def compiled():
    """A student with a teacher, compiled once."""
    return TrainingStep(initial_state(kdfsrnet.initial_params(0, STUDENT)), RATE, kdfsrnet.initial_params(1, TEACHER))


@pytest.fixture
def step(compiled):
    """The same, untrained."""
    state = initial_state(kdfsrnet.initial_params(0, STUDENT))
    for variables, values in zip((compiled._params, compiled._first, compiled._second), state[:3], strict=True):
        for name, value in values.items():
            variables[name].assign(value)
    compiled._updates.assign(0)
    return compiled


def test_updates_are_those_of_pytorch(step):
    """Against the formula of `torch.optim.Adam` in float64, for three steps with the gradients of the first moments."""
    expected = {name: np.float64(value) for name, value in step.state.params.items()}
    first, second = ({name: np.zeros(value.shape) for name, value in expected.items()} for _ in range(2))
    for count in range(1, 4):
        earlier = step.state.first
        _, finite = step(faces(count), TermWeights(10.0, 0.1))
        assert finite
        now = step.state
        assert now.updates == count
        for name, value in now.first.items():
            gradient = (np.float64(value) - 0.9 * earlier[name]) / 0.1
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.99 * second[name] + 0.01 * gradient**2
            root = np.sqrt(second[name]) / np.sqrt(1 - 0.99**count) + 1e-8
            expected[name] -= RATE / (1 - 0.9**count) * first[name] / root
            assert np.abs(now.params[name] - expected[name]).max() < 0.01 * RATE, name


def test_epsilon_stands_outside_the_bias_correction():
    """A gradient as small as epsilon shows where it is added: PyTorch's first update is lr * g / (|g| + epsilon)."""
    params = {name: np.zeros_like(value) for name, value in kdfsrnet.initial_params(0, STUDENT).items()}
    params["tail.0.bias"] = np.full(3, 1.0, np.float32)
    batch = np.zeros((1, 16, 16, 6), np.uint8)
    batch[..., :3] = 3  # then only the last bias and, scaled down by 2e-8, the last kernel have gradients
    params["head.0.bias"][0] = params["up4.0.bias"][0] = np.float32(0)
    params["up4.0.bias"][:4] = np.float32(6e-8)  # the first channel of the features
    step = TrainingStep(initial_state(params), RATE)
    step(tf.constant(batch))
    gradient = step.state.first["tail.0.weight"][1, 1, 0, 0] / 0.1
    assert 1e-9 < gradient < 1e-7
    moved = -step.state.params["tail.0.weight"][1, 1, 0, 0]
    assert moved == pytest.approx(RATE * gradient / (gradient + 1e-8), rel=1e-3)
    np.testing.assert_allclose(step.state.params["tail.0.bias"], 1 - RATE, rtol=1e-6)


def test_the_teacher_gets_no_gradient(step):
    teacher, student = list(step._teacher.values()), list(step._params.values())
    with tf.GradientTape() as tape:
        tape.watch(teacher)
        total = step.loss(faces(), TermWeights(10.0, 0.1)).total
    found = tape.gradient(total, {"teacher": teacher, "student": student})
    assert all(gradient is None for gradient in found["teacher"])
    assert all(gradient is not None for gradient in found["student"])


def test_the_teacher_sees_the_parsing_map_and_the_student_does_not(step):
    batch = faces().numpy()
    other = batch.copy()
    other[..., 6:] = 255 - other[..., 6:]
    pair = tf.constant(batch), tf.constant(other)
    np.testing.assert_array_equal(*map(step.restore, pair))
    teacher = TrainingStep(initial_state(kdfsrnet.initial_params(1, TEACHER)), RATE)
    assert np.abs(teacher.restore(pair[0]) - teacher.restore(pair[1])).max() > 1e-5
    with_one, with_other = (step.loss(one, TermWeights(10.0, 0.1)) for one in pair)
    assert with_one.l1 == with_other.l1
    assert abs(with_one.features - with_other.features) > 1e-6
    assert abs(with_one.output - with_other.output) > 1e-6


def test_it_learns(step):
    batch = faces(3)
    found = [step(batch, TermWeights(0.1, 0.1))[0] for _ in range(60)]
    assert found[-1].l1 < 0.7 * found[0].l1
    assert found[-1].total < 0.7 * found[0].total


def test_steps_that_are_not_finite_change_nothing(step):
    step(faces(), TermWeights(10.0, 0.1))
    before = step.state
    losses, finite = step(faces(), TermWeights(np.inf, 0.1))
    assert not finite
    assert not np.isfinite(losses.total)
    after = step.state
    assert after.updates == before.updates == 1
    for one, other in zip(before[:3], after[:3], strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])
    assert step(faces(), TermWeights(10.0, 0.1))[1]
