import zlib

import numpy as np
import pytest
import recipe
import tensorflow as tf
from asffnet_weights import asffnet_state_dict, published_shapes, tiny_asffnet_state_dict, to_params

from metaf2n_tf.faces.exemplars import guidance, warp
from metaf2n_tf.networks import asffnet

STAGE_FUNCTIONS = ("extract", "adapt", "sample", "condition_on_mask", "condition_on_exemplar", "fuse", "dilate")


def picture(case, meta, who):
    levels = np.round(recipe.image((1, 512, 512, 3), meta["main"][f"image_seed_{who}"]) * 255).astype(np.uint8)
    assert zlib.crc32(levels.tobytes()) == case[f"{who}_crc32"]
    return (np.float32(levels) / 255 - 0.5) / 0.5


@pytest.fixture(scope="module")
def published(golden):
    """The golden case, and our `{stage: features}` with "output", all out of one run of `forward`."""
    case, meta = golden("asffnet")
    state = asffnet_state_dict(meta["seed"], meta["gain"])
    drawn = sum(np.abs(value, dtype=np.float64).sum() for value in state.values())
    assert drawn == pytest.approx(meta["weights_abs_sum"], rel=1e-6)
    lq, ref = case["lq_landmarks"], case["ref_landmarks"][case["selected"]]
    inputs = [picture(case, meta, "lq"), picture(case, meta, "ref")]
    inputs += [guidance.point_mask(lq)[None], warp.mls_grid(lq, ref)[None]]

    def run(params, *inputs):
        stages = []

        def recorded(function):
            def call(*args):
                stages.append(function(*args))
                return stages[-1]

            return call

        with pytest.MonkeyPatch.context() as patch:
            for name in STAGE_FUNCTIONS:
                patch.setattr(asffnet, name, recorded(getattr(asffnet, name)))
            return asffnet.forward(params, *inputs), stages

    output, stages = tf.function(run, autograph=False)(to_params(state), *inputs)
    found = {name: stage.numpy() for name, stage in zip(meta["main"]["stage_names"], stages, strict=True)}
    return case, meta["main"], found | {"output": output.numpy()}


def test_published_output(published):
    case, meta, found = published
    output, step = found["output"], meta["subsample"]
    np.testing.assert_allclose(output[:, ::step, ::step], case["output_sub"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(output[:, 240:272, 240:272], case["output_crop"], rtol=0, atol=2e-5)
    np.testing.assert_allclose([output.mean(), output.std()], case["output_mean_std"], rtol=0, atol=1e-6)


def test_published_stages(published):
    case, meta, found = published
    for name, mean, std in zip(meta["stage_names"], case["stage_mean"], case["stage_std"], strict=True):
        assert found[name].mean() == pytest.approx(mean, abs=2e-6), name
        assert found[name].std() == pytest.approx(std, abs=2e-6), name
    for name, crop in {"adain": "adain_crop", "warped": "warped_crop", "maskc": "maskc_crop"}.items():
        np.testing.assert_allclose(found[name][:, 60:68, 60:68, ::8], case[crop], rtol=0, atol=2e-5, err_msg=name)


def test_published_channel_statistics(published):
    case, _, found = published
    for who in ("lq", "ref"):
        mean, std = asffnet.mean_and_std(tf.constant(found[f"{who}_feature"]))
        np.testing.assert_allclose(np.ravel(mean), case[f"{who}_mean"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(np.ravel(std), case[f"{who}_std"], rtol=0, atol=1e-6)


def test_names_and_shapes_are_the_published_ones():
    expected = {}
    for name, shape in published_shapes().items():
        if not name.endswith(("_u", "_v")):
            value = np.empty(shape, np.float32)
            expected[name.removesuffix("_orig")] = to_params({name.removesuffix("_orig"): value}).popitem()[1].shape
    assert asffnet.variable_shapes() == expected


def test_the_variance_is_unbiased():
    features = np.float32([0, 2, 0, 2]).reshape(1, 2, 2, 1)
    mean, std = asffnet.mean_and_std(tf.constant(features))
    assert np.squeeze(mean) == 1
    assert np.squeeze(std) == pytest.approx(np.sqrt(4 / 3 + 1e-5), rel=1e-6)


def grid_sample(features, grid):
    """The documented meaning of PyTorch's `grid_sample`, one value after another."""
    height, width = features.shape[1:3]
    output = np.zeros((*grid.shape[:3], features.shape[3]))
    for n, i, j in np.ndindex(*grid.shape[:3]):
        x, y = ((grid[n, i, j].astype(np.float64) + 1) * [width, height] - 1) / 2
        for row in (int(np.floor(y)), int(np.floor(y)) + 1):
            for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                if 0 <= row < height and 0 <= column < width:
                    output[n, i, j] += (1 - abs(y - row)) * (1 - abs(x - column)) * features[n, row, column]
    return output


def test_sampling_inside_across_and_beyond_the_border():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2, 5, 8, 3)).astype(np.float32)
    grid = rng.uniform(-1.4, 1.4, (2, 30, 9, 2)).astype(np.float32)
    grid[0, 0] = [[-1, -1], [1, 1], [-1, 1], [0, 0], [-5, 0.1], [0.1, 7], [1e6, 0], [-1e6, -1e6], [1.1, -0.8]]
    sampled = asffnet.sample(tf.constant(features), tf.constant(grid))
    np.testing.assert_allclose(sampled, grid_sample(features, grid), rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def tiny():
    return {name: tf.constant(value) for name, value in to_params(tiny_asffnet_state_dict()).items()}


def draw_inputs(count, height, width):
    rng = np.random.default_rng(0)
    mask = np.float32(rng.random((count, height, width, 1)) < 0.05)
    grid = rng.uniform(-1.1, 1.1, (count, height // 4, width // 4, 2)).astype(np.float32)
    lq, ref = (recipe.image((count, height, width, 3), seed) * 2 - 1 for seed in (5, 6))
    return [tf.constant(value) for value in (lq, ref, mask, grid)]


def test_faces_of_a_batch_do_not_mix(tiny):
    inputs = draw_inputs(3, 64, 44)
    together = asffnet.forward(tiny, *inputs)
    assert together.shape == (3, 64, 44, 3)
    for index in range(3):
        alone = asffnet.forward(tiny, *(value[index : index + 1] for value in inputs))
        np.testing.assert_allclose(together[index], alone[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("which", range(4), ids=["lq", "ref", "point_mask", "grid"])
def test_every_input_counts(tiny, which):
    inputs = draw_inputs(1, 32, 32)
    before = asffnet.forward(tiny, *inputs)
    inputs[which] = inputs[which][:, ::-1]
    assert np.abs(asffnet.forward(tiny, *inputs) - before).max() > 1e-4


@pytest.mark.slow
def test_xla_compiles_it(tiny):
    inputs = draw_inputs(2, 32, 32)
    compiled = tf.function(asffnet.forward, jit_compile=True)(tiny, *inputs)
    np.testing.assert_allclose(compiled, asffnet.forward(tiny, *inputs), rtol=0, atol=1e-5)
