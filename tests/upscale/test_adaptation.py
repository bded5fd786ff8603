import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.meta import inner_loop
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.upscale import adaptation
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
    adapted = adaptation.Adapter(Weights("", tiny_sr, golden_mask), xla).adapt(*patches, 0.05)
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
    adapter = adaptation.Adapter(Weights("", tiny_sr, None), xla=False)
    runs = [dict(adapter.adapt(*patches, 0.05).trajectory([2]))[2] for _ in range(2)]
    for name in tiny_sr:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


def test_a_diverging_rate_is_noticed(tiny_sr, patches):
    adapter = adaptation.Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = adapter.adapt(*patches, 1e12)
    fallen = dict(adapted.trajectory([0, 3, 9]))
    assert not adapted.finite
    assert len(adapted.losses) < 10
    assert fallen[3] is fallen[9] is fallen[0] is adapter.params


def test_without_patches_nothing_is_adapted(tiny_sr):
    adapter = adaptation.Adapter(Weights("", tiny_sr, None), xla=False)
    adapted = adapter.adapt(np.zeros((0, 8, 8, 3), np.float32), np.zeros((0, 32, 32, 3), np.float32), 0.05)
    assert all(params is adapter.params for _, params in adapted.trajectory([0, 2]))
    assert (adapted.losses, adapted.mean_weight, adapted.patches) == ([], None, 0)


def test_real_photo_outputs_are_the_published_ones(golden, golden_mask, real_params):
    """The whole compiled path with full-size weights against the published graph, to the 8-bit level."""
    case, meta = golden("masknet")
    lq, hq, photo = (
        (case[name] / 255.0).astype(np.float32) for name in ("inputa_uint8", "labela_uint8", "inputb_uint8")
    )
    adapted = adaptation.Adapter(Weights("", real_params, golden_mask), xla=False).adapt(lq, hq, meta["lr"])
    resolver = SuperResolver()
    for steps, params in adapted.trajectory([0, 1, 5]):
        levels = resolver(params, photo[0], 8)
        published = np.round(np.clip(case[f"out_{steps}"][0], 0, 1) * 255)
        assert np.abs(levels - published).max() <= 1
        assert np.mean(levels != published) < 1e-3
    np.testing.assert_allclose(adapted.losses, case["loss"], rtol=0, atol=5e-8)
    assert adapted.mean_weight == pytest.approx(meta["W_mean"], abs=1e-5)
