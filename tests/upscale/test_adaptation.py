import contextlib

import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf import progress
from metaf2n_tf.meta import inner_loop
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.upscale import adaptation
from metaf2n_tf.upscale.adaptation import Adaptation, Adapter
from metaf2n_tf.weights.load import Weights


@pytest.fixture
def patches():
    return recipe.image((6, 8, 8, 3), 3), recipe.image((6, 32, 32, 3), 4)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("chunk_pixels", [4096, 4 * 64])
def test_equals_the_unrolled_inner_loop(tiny_sr, golden_mask, patches, monkeypatch, xla, chunk_pixels):
    """Compiled, in XLA blocks, in chunks of 4 and 2 patches: the same steps as `meta/inner_loop.py`."""
    monkeypatch.setattr(adaptation, "_CHUNK_PIXELS", chunk_pixels)
    params = {name: tf.constant(value) for name, value in tiny_sr.items()}
    expected = inner_loop.adapt(params, golden_mask, *patches, 0.05, 3)
    adapted = Adaptation(Adapter(Weights("", tiny_sr, golden_mask), xla), patches, 0.05)
    found = dict(adapted.trajectory([3, 0, 1]))
    assert list(found) == [0, 1, 3]
    np.testing.assert_allclose(adapted.losses[:3], expected.losses, rtol=1e-5)
    assert len(adapted.losses) == 4
    assert adapted.losses[3] < adapted.losses[0]
    assert adapted.mean_weight == pytest.approx(float(np.mean(expected.weight_map)), rel=1e-5)
    for name in tiny_sr:
        np.testing.assert_array_equal(found[0][name], tiny_sr[name])
        np.testing.assert_allclose(found[1][name], expected.params[0][name], atol=1e-6)
        np.testing.assert_allclose(found[3][name], expected.params[2][name], atol=1e-6)


def test_every_photo_starts_from_the_loaded_weights(tiny_sr, patches):
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    runs = [dict(Adaptation(adapter, patches, 0.05).trajectory([2]))[2] for _ in range(2)]
    for name in tiny_sr:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


def test_every_trajectory_has_its_own_losses(tiny_sr, patches):
    """A second one starts from the loaded weights again, and its losses are not added to the first one's."""
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = Adaptation(adapter, patches, 0.05, held_out=patches)
    first = dict(adapted.trajectory([1, 3]))
    losses, held_out = adapted.losses, adapted.held_out_losses
    again = dict(adapted.trajectory([1, 2]))
    assert (len(losses), len(held_out)) == (4, 4)
    assert (adapted.losses, adapted.held_out_losses) == (losses[:3], held_out[:3])
    assert not adapted.diverged(2)
    for name in tiny_sr:
        np.testing.assert_array_equal(first[1][name], again[1][name])
    assert adapted.best(3)[0] == adapted.best(3)[0] == int(np.argmin(held_out))


def test_a_diverging_rate_is_noticed(tiny_sr, patches):
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = Adaptation(adapter, patches, 1e12)
    fallen = dict(adapted.trajectory([0, 3, 9]))
    assert not adapted.finite
    assert len(adapted.losses) < 10
    assert fallen[3] is fallen[9] is fallen[0] is adapter.params


def test_each_number_of_steps_is_judged_by_itself(tiny_sr, patches):
    """A finite loss above the first: only the steps that it is after are undone."""
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = Adaptation(adapter, patches, 0.02, held_out=patches)
    found = {}
    for steps, params in adapted.trajectory([0, 1, 2, 3]):
        adapted.losses[-1] = [0.5, 0.4, 0.6, 0.3][steps]  # as a rate that is a little too large would give it
        found[steps] = params, adapted.diverged(steps)
    assert [diverged for _, diverged in found.values()] == [False, False, True, False]
    adapted = Adaptation(adapter, patches, 5.0)
    results = {steps: (used, params) for steps, used, params in adapted.results([0, 1, 3])}
    assert adapted.losses[0] < adapted.losses[1] < np.inf
    assert [used for used, _ in results.values()] == [0, 0, 0]
    assert all(params is adapter.params for _, params in results.values())
    (remark,) = map(str, adapted.remarks({steps: used for steps, (used, _) in results.items()}))
    assert "the loss diverged" in remark
    assert "after 1, " in remark
    assert "unadapted weights are used. Remedy: a lower task_lr" in remark


def test_auto_takes_the_steps_with_the_lowest_held_out_loss(tiny_sr, patches):
    """Judged by patches that no step saw, here ones that contradict the others after a while."""
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    contrary = patches[0][::-1], patches[1][::-1] * 0.5 + patches[1] * 0.5
    adapted = Adaptation(adapter, patches, 0.05, held_out=contrary)
    steps, params = adapted.best(6)
    judged = Adaptation(adapter, contrary, 0.05)
    losses = [
        judged._loss(params, judged._chunks) for _, params in Adaptation(adapter, patches, 0.05).trajectory(range(7))
    ]
    np.testing.assert_array_equal(adapted.held_out_losses, losses)
    assert steps == int(np.argmin(losses))
    expected = dict(Adaptation(adapter, patches, 0.05).trajectory([steps]))[steps]
    for name in tiny_sr:
        np.testing.assert_array_equal(params[name], expected[name])
    assert losses[steps] <= losses[0]


@pytest.mark.parametrize(("rate", "used"), [(1e12, 0), (0.0, 0)])
def test_auto_takes_none_where_none_is_better(tiny_sr, patches, rate, used):
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = Adaptation(adapter, patches, rate, held_out=patches)
    assert list(adapted.results(["auto:4"])) == [("auto:4", used, adapter.params)]
    assert list(map(str, adapted.remarks({"auto:4": 0}))) == [
        "none of 1 to 4 steps lowers the held-out loss, so auto takes none"
    ]


def test_held_out_patches_change_no_step_and_are_said_to_get_worse(tiny_sr, patches):
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    alone, judged = Adaptation(adapter, patches, 0.05), Adaptation(adapter, patches, 0.05, (patches[0], patches[1] + 5))
    weights = [dict(adapted.trajectory([1, 3])) for adapted in (alone, judged)]
    assert alone.losses == judged.losses
    for steps in (1, 3):
        for name in tiny_sr:
            np.testing.assert_array_equal(weights[0][steps][name], weights[1][steps][name])
    assert alone.remarks({1: 1, 3: 3}) == []
    assert judged.held_out_losses[3] > judged.held_out_losses[0]
    remarks = list(map(str, judged.remarks({0: 0, 1: 1, 3: 3})))
    assert remarks[1].endswith(". Remedy: fine_tune_num=auto")
    assert [remark.split(" the held-out loss is")[0] for remark in remarks] == ["after 1 step", "after 3 steps"]


def test_strength(tiny_sr, patches):
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = Adaptation(adapter, patches, 0.05)
    params = dict(adapted.trajectory([2]))[2]
    assert adapted.at_strength(params, 1) is params
    assert adapted.at_strength(params, 0) is adapter.params
    half = adapted.at_strength(params, 0.5)
    for name, value in tiny_sr.items():
        np.testing.assert_allclose(half[name], (value + params[name]) / 2, atol=1e-7)


def test_what_a_photo_gives_does_not_depend_on_those_before(tiny_sr, patches):
    """Nor does it matter for which shapes the functions were traced first, or how many steps come after."""
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    first = dict(Adaptation(adapter, patches, 0.05).trajectory([1]))[1]
    for part in (slice(0, 1), slice(0, 5)):
        dict(Adaptation(adapter, (patches[0][part, :6], patches[1][part, :24]), 0.05).trajectory([2]))
    again = dict(Adaptation(adapter, patches, 0.05).trajectory([0, 1, 3]))[1]
    for name in tiny_sr:
        np.testing.assert_array_equal(first[name], again[name])


def test_without_patches_nothing_is_adapted(tiny_sr):
    adapter = Adapter(Weights("", tiny_sr, None), xla=False)
    none = np.zeros((0, 8, 8, 3), np.float32), np.zeros((0, 32, 32, 3), np.float32)
    adapted = Adaptation(adapter, none, 0.05)
    assert all(params is adapter.params for _, params in adapted.trajectory([0, 2]))
    assert (adapted.losses, adapted.mean_weight, adapted.patches) == ([], None, 0)


def test_real_photo_outputs_are_the_published_ones(golden, golden_mask, real_params):
    """The whole compiled path with full-size weights against the published graph, to the 8-bit level."""
    case, meta = golden("masknet")
    lq, hq, photo = (
        (case[name] / 255.0).astype(np.float32) for name in ("inputa_uint8", "labela_uint8", "inputb_uint8")
    )
    adapted = Adaptation(Adapter(Weights("", real_params, golden_mask), xla=False), (lq, hq), meta["lr"])
    resolver = SuperResolver()
    for steps, params in adapted.trajectory([0, 1, 5]):
        levels = resolver(params, photo[0], 8)
        published = np.round(np.clip(case[f"out_{steps}"][0], 0, 1) * 255)
        assert np.abs(levels - published).max() <= 1
        assert np.mean(levels != published) < 1e-3
    np.testing.assert_allclose(adapted.losses, case["loss"], rtol=0, atol=5e-8)
    assert adapted.mean_weight == pytest.approx(meta["W_mean"], abs=1e-5)


def test_steps_are_under_way_while_they_are_made_and_not_between_them(tiny_sr, patches):
    under_way, reported = [], []

    @contextlib.contextmanager
    def watch(work):
        under_way.append(work.title)
        yield lambda amount: reported.append((work.done, amount))
        under_way.remove(work.title)

    with progress.watched_by(watch):
        adapted = Adaptation(Adapter(Weights("", tiny_sr, None), xla=False), patches, 0.05)
        between = [list(under_way) for _ in adapted.trajectory([1, 3])]
    assert between == [[], []]
    assert reported == [(0, 1), (1, 1), (1, 1)]
