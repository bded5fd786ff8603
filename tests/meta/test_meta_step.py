import json

import numpy as np
import pytest
import recipe
import tensorflow as tf
import tiny_training
from discriminator_weights import to_params

from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.meta import losses
from metaf2n_tf.meta.meta_step import MetaStep, initial_state
from metaf2n_tf.meta.method import Method
from metaf2n_tf.networks import discriminator, lpips, masknet, rrdbnet
from metaf2n_tf.weights.lpips import load_lpips


@pytest.fixture(scope="module")
def tiny():
    return tiny_training.state(), tiny_training.batch()


def first_task(batch):
    return MetaBatch(*(tensor[0] for tensor in batch))


def flat(gradient):
    return np.concatenate([np.ravel(gradient[name]) for name in sorted(gradient)])


def gradients(meta_step, state, batch, step=0):
    return meta_step.compile(meta_step.gradients)(state, batch, tf.constant(step))


# ---- the published graph


@pytest.fixture(scope="module")
def published(root, real_params):
    folder = root / "tests" / "golden" / "meta_step"
    case = json.loads((folder / "case.json").read_text())
    with np.load(folder / "case.npz") as arrays:
        arrays = dict(arrays)
    mask = recipe.weights(masknet.variable_shapes(), case["seed"], "tf")
    mask["Mask/conv8/bias"] = np.float32([case["mask_conv8_bias"]])
    shapes = json.loads((root / "tests/golden/discriminator/shapes.json").read_text())
    discriminator_params = to_params(recipe.weights(shapes, case["seed"]))
    names = ("inputa", "labela", "inputb", "labelb", "labela", "labelb_nousm")
    batch = MetaBatch(*(tf.constant(arrays[name]) for name in names))
    return case, arrays, initial_state({**real_params, **mask}, discriminator_params), batch


def published_step(case, root, first_order):
    return MetaStep(
        Method(case["meta_batch"], case["task_lr"], case["task_iter"], meta_lr=3e-5, discriminator_lr=1e-4),
        load_lpips(root / "weights" / "lpips-alex.npz"),
        first_order=first_order,
        xla=False,
    )


@pytest.mark.parametrize("order", ["second_order", pytest.param("first_order", marks=pytest.mark.slow)])
def test_published_losses_and_gradients(published, root, order):
    """Convolution libraries alone move norms by 0.4 % and, in a few small biases, dot products by more than 2 %."""
    case, arrays, state, batch = published
    expected = case["results"][order]
    found = gradients(published_step(case, root, order == "first_order"), state, batch)
    ours, parts = found.losses, expected["parts"]
    for value, reference in (
        (ours.inner, expected["inner"]),
        (ours.outer, expected["outer"]),
        (ours.discriminator, expected["disc"]),
        (ours.weighted, expected["wl"]),
        (ours.l1, parts["l1"][1:]),
        (ours.lpips, parts["lpips"][1:]),
        (ours.gan, parts["gan"][1:]),
    ):
        np.testing.assert_allclose(value, reference, rtol=1e-4)
    np.testing.assert_allclose(found.pictures.weight_map, arrays["W"][0], rtol=0, atol=2e-5)
    np.testing.assert_allclose(found.pictures.outputb, arrays["outputb_after"][0], rtol=0, atol=2e-4)
    check_norms(found.discriminator, expected["disc_grad_norm"])
    check_norms(found.generator, expected["grad_norm"])
    errors = []
    for name, dot in expected["grad_dot_recipe"].items():
        gradient, drawn = (
            np.float64(found.generator[name]),
            np.float64(recipe.draw(name, state.generator[name].shape, 999, "tf")),
        )
        scale = expected["grad_norm"][name] * np.linalg.norm(drawn) / np.sqrt(drawn.size)
        errors.append(abs(np.sum(gradient * drawn) - dot) / scale)
    assert len(errors) == 718
    assert np.quantile(errors, 0.98) < 2e-2
    assert max(errors) < 6e-2


def check_norms(gradient, norms):
    assert set(gradient) == set(norms)
    errors = [abs(np.linalg.norm(np.float64(gradient[name])) / norm - 1) for name, norm in norms.items()]
    assert np.quantile(errors, 0.98) < 5e-3
    assert max(errors) < 1.5e-2


def test_published_losses_before_adaptation(published, root):
    case, arrays, state, batch = published
    found = published_step(case, root, False).compiled_unadapted(state, batch)
    expected = case["results"]["second_order"]
    np.testing.assert_allclose(found.outer, expected["outer_before"], rtol=1e-4)
    for name in ("l1", "lpips", "gan"):
        np.testing.assert_allclose(getattr(found, name), expected["parts"][name][0], rtol=1e-4)
    np.testing.assert_allclose(found.outputb, arrays["outputb_before"][0], rtol=0, atol=2e-4)


# ---- the definition, on tiny networks


def by_definition(state, task, task_lr, task_iter, step, first_order):
    """Losses and gradients of one task, written down as METHOD has them."""
    sr = {name: value for name, value in state.generator.items() if name.startswith("MODEL/")}
    mask = {name: value for name, value in state.generator.items() if name.startswith("Mask/")}
    trained = discriminator.trained(state.discriminator)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([sr, mask, trained])
        normalized, _ = discriminator.normalize(state.discriminator | trained)
        weight_map = masknet.forward(mask, task.inputa, task.labela)
        weights, total = sr, 0.0
        for index in range(task_iter):
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(weights)
                inner = tf.reduce_mean(weight_map * tf.abs(task.labela - rrdbnet.forward(weights, task.inputa)))
            gradient = inner_tape.gradient(inner, weights)
            if first_order:
                gradient = {name: tf.stop_gradient(value) for name, value in gradient.items()}
            weights = {name: value - task_lr * gradient[name] for name, value in weights.items()}
            output = rrdbnet.forward(weights, task.inputb)
            logits = discriminator.forward(normalized, output)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits
            outer = (
                tf.reduce_mean(tf.abs(task.labelb - output))
                + 0.5 * tf.reduce_mean(lpips.distance(tiny_training.lpips_params(), task.labelb, output))
                + 0.1 * tf.reduce_mean(entropy(tf.ones_like(logits), logits))
                + 0.002 * tf.reduce_mean((weight_map - 1) ** 2) / 2
            )
            total += losses.step_weights(step, task_iter)[index] * outer / task_iter
        real = discriminator.forward(normalized, task.labelb_nousm)
        fake = discriminator.forward(normalized, tf.stop_gradient(output))
        discriminator_loss = tf.reduce_mean(entropy(tf.ones_like(real), real) + entropy(tf.zeros_like(fake), fake))
    generator = {**tape.gradient(total, sr), **tape.gradient(total, mask)}
    return total, discriminator_loss, generator, tape.gradient(discriminator_loss, trained)


@pytest.mark.parametrize(
    ("task_iter", "first_order"),
    [(2, False), (1, False), (2, True)],
)
@pytest.mark.slow
def test_gradients_are_those_of_the_definition(tiny, task_iter, first_order):
    state, batch = tiny
    step, task_lr = 700, 0.05
    meta_step = tiny_training.meta_step(
        meta_batch_size=1, task_iter=task_iter, task_lr=task_lr, first_order=first_order
    )
    found = gradients(meta_step, state, MetaBatch(*(tensor[:1] for tensor in batch)), step)
    total, discriminator_loss, generator, of_discriminator = by_definition(
        state, first_task(batch), task_lr, task_iter, step, first_order
    )
    np.testing.assert_allclose(found.losses.weighted, total, rtol=1e-5)
    np.testing.assert_allclose(found.losses.discriminator[-1], discriminator_loss, rtol=1e-5)
    for ours, expected in ((found.generator, generator), (found.discriminator, of_discriminator)):
        assert np.linalg.norm(flat(ours) - flat(expected)) < 1e-4 * np.linalg.norm(flat(expected))
    masks = flat({name: value for name, value in generator.items() if "Mask" in name})
    assert np.linalg.norm(masks) > 0


# ---- how it is computed changes nothing


@pytest.fixture(scope="module")
def plain(tiny):
    return gradients(tiny_training.meta_step(), *tiny)


def test_tasks_add_up_to_their_mean(tiny, plain):
    state, batch = tiny
    meta_step = tiny_training.meta_step()
    one = tf.function(lambda task: meta_step.task_gradients(state.generator, state.discriminator, task, 0))
    parts = [one(MetaBatch(*(tensor[index] for tensor in batch))) for index in range(2)]
    np.testing.assert_allclose(plain.losses.outer, np.mean([part.losses.outer for part in parts], axis=0), rtol=1e-5)
    for field in ("generator", "discriminator"):
        expected = np.mean([flat(getattr(part, field)) for part in parts], axis=0)
        np.testing.assert_allclose(flat(getattr(plain, field)), expected, rtol=1e-4, atol=1e-7)
    ranges = np.array([part.weight_range for part in parts])
    np.testing.assert_array_equal(plain.weight_range, [ranges[:, 0].min(), ranges[:, 1].max()])
    np.testing.assert_array_equal(plain.pictures.outputb, parts[0].pictures.outputb)


@pytest.mark.slow
@pytest.mark.parametrize("first_order", [False, True])
def test_recomputing_blocks_changes_no_gradient(tiny, plain, first_order):
    reference = gradients(tiny_training.meta_step(first_order=True), *tiny) if first_order else plain
    found = gradients(tiny_training.meta_step(first_order=first_order, recompute_blocks=True), *tiny)
    error = np.linalg.norm(flat(found.generator) - flat(reference.generator))
    assert error < 1e-5 * np.linalg.norm(flat(reference.generator))


def test_mixed_precision_is_near_and_keeps_float32_weights(tiny, plain):
    meta_step = tiny_training.meta_step(mixed_precision=True)
    found = gradients(meta_step, *tiny)
    np.testing.assert_allclose(found.losses.outer, plain.losses.outer, rtol=2e-2)
    assert not np.array_equal(found.losses.outer, plain.losses.outer)
    assert {value.dtype for value in found.generator.values()} == {tf.float32}
    assert np.linalg.norm(flat(found.generator) - flat(plain.generator)) < 0.3 * np.linalg.norm(flat(plain.generator))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"recompute_blocks": True}])
def test_xla_gives_the_same(tiny, plain, options):
    found = gradients(tiny_training.meta_step(xla=True, **options), *tiny)
    np.testing.assert_allclose(found.losses.outer, plain.losses.outer, rtol=1e-5)
    assert np.linalg.norm(flat(found.generator) - flat(plain.generator)) < 1e-3 * np.linalg.norm(flat(plain.generator))


# ---- whole steps


def test_a_step_updates_everything_once(tiny):
    state, batch = tiny
    meta_step = tiny_training.meta_step()
    new, report = meta_step.compiled(state, batch, tf.constant(0))
    assert bool(report.updated)
    for name, value in state.generator.items():
        assert not np.array_equal(new.generator[name], value), name
    _, advanced = discriminator.normalize(state.discriminator)
    for name, value in state.discriminator.items():
        if name.endswith("/u"):
            np.testing.assert_allclose(new.discriminator[name], advanced[name], rtol=1e-6)
        else:
            assert not np.array_equal(new.discriminator[name], value), name
    change = np.abs(flat(new.generator) - flat(state.generator))
    assert change.max() <= 1.01 * meta_step.method.meta_lr  # Adam's first step
    np.testing.assert_allclose(new.generator_adam.beta1_power, 0.81, rtol=1e-6)
    after, _ = meta_step.compiled(new, batch, tf.constant(1))
    np.testing.assert_allclose(after.discriminator_adam.beta2_power, 0.999**3, rtol=1e-6)


def test_a_step_that_is_not_finite_changes_nothing(tiny):
    state, batch = tiny
    meta_step = tiny_training.meta_step()
    poisoned = batch._replace(labelb=batch.labelb * float("nan"))
    new, report = meta_step.compiled(state, poisoned, tf.constant(0))
    assert not bool(report.updated)
    for before, after in zip(tf.nest.flatten(state), tf.nest.flatten(new), strict=True):
        np.testing.assert_array_equal(after, before)


def test_the_outer_loss_falls_on_a_batch_that_is_seen_again(tiny):
    state, batch = tiny
    meta_step = tiny_training.meta_step(meta_lr=1e-3)
    outer = []
    for step in range(8):
        state, report = meta_step.compiled(state, batch, tf.constant(step))
        outer.append(float(report.losses.l1[-1]))
    assert outer[-1] < 0.9 * outer[0]
