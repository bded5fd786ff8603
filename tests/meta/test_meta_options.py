"""What config.py makes of a meta-step beyond the published one, against its definition on a tiny compact network."""

import math

import numpy as np
import pytest
import recipe
import srvgg_weights
import tensorflow as tf
import tiny_training

from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.meta import losses
from metaf2n_tf.meta.losses import PUBLISHED_WEIGHTS
from metaf2n_tf.meta.meta_step import initial_rates, initial_state
from metaf2n_tf.networks import discriminator, lpips, masknet, srvgg

ENTROPY = tf.nn.sigmoid_cross_entropy_with_logits
NO_GAN = PUBLISHED_WEIGHTS._replace(gan=0.0)
RATES = {name: math.log(0.02) - 0.1 * index for index, name in enumerate(srvgg_weights.make_tiny())}


def make_state(mask=True, rates=False, gan=True, sr_params=None):
    """Compact network, MaskNet, rates that differ, discriminator."""
    generator = dict(sr_params or srvgg_weights.make_tiny())
    if mask:
        generator |= masknet.initial_params(0, 8, bias=0.5)
    if rates:
        generator |= {f"TaskLR/{name}": np.float32(value) for name, value in RATES.items()}
    return initial_state(generator, discriminator.initial_params(0, width=8) if gan else {})


@pytest.fixture(scope="module")
def batch():
    """One task whose sharpened background is another one, so that the two cannot be taken for each other."""
    made = tiny_training.batch(1, background=32)
    return made._replace(labelb_nousm=tf.constant(recipe.image(made.labelb.shape, 9)))


def meta_step(**options):
    return tiny_training.meta_step(**{"meta_batch_size": 1, "task_lr": 0.05, **options})


def gradients(step, state, batch):
    return step.compile(step.gradients)(state, batch, tf.constant(0))


def scope(params, name):
    return {variable: value for variable, value in params.items() if variable.startswith(f"{name}/")}


@tf.function(autograph=False)
def definition(state, task, loss_weights, inner_loop, windows=False):
    """The generator's loss of one task and its gradient, one inner step, as config.py describes them."""

    def see(pictures):
        if not windows:
            return pictures
        seed = tf.reduce_sum(tf.cast(tf.round(task.labelb_nousm * 255), tf.int32))
        return losses.see_windows(losses.draw_windows(tf.stack([seed, 0]), *pictures.shape[:2]), pictures)

    with tf.GradientTape() as tape:
        tape.watch(state.generator)
        start, log_rates = (scope(state.generator, name) for name in ("MODEL", "TaskLR"))
        target = task.labelb

        def outer_loss(params):
            output = srvgg.forward(params, task.inputb)
            loss = loss_weights.l1 * tf.reduce_mean(tf.abs(target - output))
            seen, seen_output = see(target), see(output)
            loss += loss_weights.lpips * tf.reduce_mean(lpips.distance(tiny_training.lpips_params(), seen, seen_output))
            if loss_weights.gan:
                logits = discriminator.forward(discriminator.normalize(state.discriminator)[0], output)
                loss += loss_weights.gan * tf.reduce_mean(ENTROPY(tf.ones_like(logits), logits))
            return loss

        if inner_loop:
            weight_map = masknet.forward(scope(state.generator, "Mask"), task.inputa, task.labela)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(start)
                faces = srvgg.forward(start, task.inputa)
                inner = tf.reduce_mean(weight_map * tf.abs(task.labela - faces))
            gradient = inner_tape.gradient(inner, start)
            adapted = {
                name: value - (tf.exp(log_rates[f"TaskLR/{name}"]) if log_rates else 0.05) * gradient[name]
                for name, value in start.items()
            }
            total = outer_loss(adapted) + loss_weights.mask * tf.reduce_mean((weight_map - 1) ** 2) / 2
            total += loss_weights.unadapted * outer_loss(start)
        else:
            total = outer_loss(start)
    return total, tape.gradient(total, state.generator)


@pytest.mark.parametrize(
    ("parts", "options"),
    [
        ({"rates": True}, {"loss_weights": PUBLISHED_WEIGHTS._replace(unadapted=0.7)}),
        ({"rates": True, "gan": False}, {"first_order": True, "loss_weights": NO_GAN}),
        ({"gan": False}, {"loss_weights": NO_GAN._replace(l1=0.3, lpips=2.0, mask=0.5)}),
        ({"gan": False}, {"lpips_windows": True, "loss_weights": NO_GAN._replace(lpips=2.0, unadapted=0.7)}),
        ({"mask": False}, {"inner_loop": False, "loss_weights": PUBLISHED_WEIGHTS._replace(unadapted=0.7)}),
    ],
    ids=["rates, unadapted", "rates, first order", "weights", "windows", "no inner loop"],
)
def test_gradients_are_those_of_the_definition(batch, parts, options):
    state = make_state(**parts)
    task = MetaBatch(*(tensor[0] for tensor in batch))
    found = gradients(meta_step(**options), state, batch)
    weights = options.get("loss_weights", PUBLISHED_WEIGHTS)
    inner_loop, windows = options.get("inner_loop", True), options.get("lpips_windows", False)
    total, expected = definition(state, task, weights, inner_loop, windows)
    if options.get("first_order"):  # only the rates' gradient is the same in both orders
        expected = scope(expected, "TaskLR")
    np.testing.assert_allclose(found.losses.weighted, total, rtol=1e-5)
    for name in ("MODEL", "Mask", "TaskLR"):
        ours, wanted = (
            np.concatenate([np.ravel(value) for _, value in sorted(scope(gradient, name).items())] or [[]])
            for gradient in (found.generator, expected)
        )
        if wanted.size:
            assert np.linalg.norm(wanted) > 0
            assert np.linalg.norm(ours - wanted) < 1e-4 * np.linalg.norm(wanted), name
    assert set(found.generator) == set(state.generator)
    assert set(found.discriminator) == set(discriminator.trained(state.discriminator))


@pytest.mark.slow
def test_recomputing_blocks_and_xla_change_no_gradient(batch):
    state = make_state(rates=True, gan=False)
    reference = gradients(meta_step(loss_weights=NO_GAN), state, batch)
    for options in ({"recompute_blocks": True}, {"xla": True}):
        found = gradients(meta_step(loss_weights=NO_GAN, **options), state, batch)
        for name, value in reference.generator.items():
            scale = np.linalg.norm(value) + 1e-6
            assert np.linalg.norm(found.generator[name] - value) < 1e-3 * scale, (options, name)


def test_a_context_branch_is_adapted_with_the_rest(batch):
    params = srvgg_weights.perturbed(srvgg_weights.make_tiny_context())
    rates = initial_rates(params, 0.05)
    state = initial_state(params | masknet.initial_params(0, 8, bias=0.5) | rates, {})
    found = gradients(meta_step(loss_weights=NO_GAN), state, batch)
    assert [name for name, value in found.generator.items() if not np.any(value)] == []


def test_without_a_gan_there_is_nothing_of_a_discriminator(batch):
    state = make_state(gan=False)
    assert (state.discriminator, state.discriminator_adam.first, state.discriminator_adam.second) == ({}, {}, {})
    step = meta_step(loss_weights=NO_GAN)
    new, report = step.compiled(state, batch, tf.constant(0))
    assert bool(report.updated)
    assert (new.discriminator, new.discriminator_adam.first, new.discriminator_adam.second) == ({}, {}, {})
    assert (float(report.losses.gan[0]), float(report.losses.discriminator[0])) == (0, 0)
    assert float(step.compiled_unadapted(state, batch).gan) == 0
    assert all(not np.array_equal(new.generator[name], value) for name, value in state.generator.items())


def test_plain_training_leaves_no_masknet_and_its_outer_loss_is_the_unadapted_one(batch):
    state, step = make_state(mask=False, gan=False), meta_step(inner_loop=False, loss_weights=NO_GAN)
    new, report = step.compiled(state, batch, tf.constant(0))
    assert set(new.generator) == set(srvgg_weights.make_tiny())
    before = step.compiled_unadapted(state, batch)
    np.testing.assert_allclose(report.losses.outer, [before.outer], rtol=1e-6)
    np.testing.assert_allclose(report.losses.weighted, before.outer, rtol=1e-6)
    np.testing.assert_array_equal(report.weight_range, [1, 1])
    np.testing.assert_allclose(report.pictures.outputb, before.outputb, rtol=0, atol=1e-6)


# ---- optimizer


@pytest.fixture(scope="module")
def plain_state():
    """All that a step of plain training changes, and rates, which have an optimizer's rate of their own."""
    return make_state(mask=False, gan=False, rates=True)


@pytest.fixture(scope="module")
def any_gradients(plain_state, batch):
    return gradients(meta_step(inner_loop=False, loss_weights=NO_GAN), plain_state, batch)


def first_update(step, state, found, number=0):
    """The state after Adam's first update with these gradients."""
    new, report = step.apply(state, found, tf.constant(number))
    assert bool(report.updated)
    return new


def of_length(found, length):
    """Gradients of this length, the same everywhere."""
    size = sum(int(tf.size(value)) for value in found.generator.values())
    value = np.float32(length / math.sqrt(size))
    return found._replace(generator={name: tf.fill(old.shape, value) for name, old in found.generator.items()})


@pytest.mark.parametrize(
    ("decay", "rates"),
    [(0.1, {0: 1e-3, 25: 8.681981e-4, 50: 5.5e-4, 100: 1e-4, 500: 1e-4}), (1.0, {0: 1e-3, 99: 1e-3})],
)
def test_the_rate_falls_along_a_half_cosine_and_stays_at_its_end(plain_state, any_gradients, decay, rates):
    """Adam's first update is as long as its rate."""
    step = meta_step(inner_loop=False, meta_lr=1e-3, meta_lr_decay=decay, meta_iter=100, rate_lr=7e-3)
    for number, rate in rates.items():
        new = first_update(step, plain_state, of_length(any_gradients, 100.0), number)
        for name, value in plain_state.generator.items():
            expected = 7e-3 if name.startswith("TaskLR/") else rate
            np.testing.assert_allclose(value - new.generator[name], expected, rtol=2e-3, err_msg=f"{number} {name}")


@pytest.mark.parametrize(("clip_norm", "length", "expected"), [(2.0, 10.0, 2.0), (2.0, 1.0, 1.0), (0.0, 10.0, 10.0)])
def test_a_long_gradient_is_shortened_and_a_short_one_is_not(plain_state, any_gradients, clip_norm, length, expected):
    """Adam's first moment after one update is a tenth of the gradient that it was given."""
    new = first_update(meta_step(inner_loop=False, clip_norm=clip_norm), plain_state, of_length(any_gradients, length))
    taken = 10 * np.concatenate([np.ravel(value) for value in new.generator_adam.first.values()])
    np.testing.assert_allclose(np.linalg.norm(taken), expected, rtol=1e-5)


def test_rates_start_at_the_one_given():
    rates = initial_rates(srvgg_weights.make_tiny(), 0.02)
    assert set(rates) == {f"TaskLR/{name}" for name in srvgg_weights.make_tiny()}
    np.testing.assert_allclose(np.exp(list(rates.values())), 0.02, rtol=1e-6)
    assert {np.shape(value) for value in rates.values()} == {()}
