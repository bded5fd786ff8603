import json
import zlib

import numpy as np
import pytest
import recipe
import tensorflow as tf
from face_weights import GPEN_CHANNELS, gpen_state_dict, tiny_gpen_state_dict, to_params

from metaf2n_tf.networks import gpen


@pytest.mark.parametrize("topic", ["gpen256", "gpen512"])
def test_published_outputs(golden, topic):
    case, meta = golden(topic)
    state = gpen_state_dict(topic, meta["seed"])
    drawn = sum(np.abs(value, dtype=np.float64).sum() for value in state.values())
    assert drawn == pytest.approx(meta["weights_abs_sum"], rel=1e-6)
    params = to_params(state)
    levels = np.round(recipe.image(meta["input_shape"], meta["image_seed"]) * 255).astype(np.uint8)
    assert zlib.crc32(levels.tobytes()) == case["input_crc32"]
    images = (np.float32(levels) / 255 - 0.5) / 0.5

    code, features = gpen.encode(params, images)
    np.testing.assert_allclose(code, case["final_linear"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(features[0][..., ::16], case["ecd_last_sub"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(gpen.map_style(params, code), case["latent"], rtol=0, atol=1e-4)
    output = tf.function(gpen.forward)(params, images).numpy()
    y, x, height, width = meta["crop"]
    step = meta["subsample"]
    np.testing.assert_allclose(output[:, ::step, ::step], case["output_sub"], rtol=0, atol=2e-4)
    np.testing.assert_allclose(output[:, y : y + height, x : x + width], case["output_crop"], rtol=0, atol=2e-4)
    np.testing.assert_allclose([output.mean(), output.std()], case["output_mean_std"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [256, 512])
def test_names_and_shapes_are_the_published_ones(root, size):
    shapes = json.loads((root / "tests" / "golden" / f"gpen{size}" / "shapes.json").read_text())
    expected = {}
    for name, shape in shapes.items():
        if not name.endswith(".kernel"):
            expected[name] = to_params({name: np.empty(shape, np.float32)})[name].shape
    assert gpen.variable_shapes(GPEN_CHANNELS[size]) == expected


def test_the_size_is_read_off_the_variables():
    for size, channels in GPEN_CHANNELS.items():
        assert gpen.resolution(gpen.variable_shapes(channels)) == size


@pytest.mark.parametrize("size", [1024, 2048])
def test_larger_sizes_run(size):
    params = to_params(tiny_gpen_state_dict(size, width=2))
    output = gpen.forward(params, np.zeros((1, size, size, 3), np.float32))
    assert output.shape == (1, size, size, 3)
    assert np.isfinite(output).all()


@pytest.fixture
def tiny():
    return {name: tf.constant(value) for name, value in to_params(tiny_gpen_state_dict()).items()}


def test_faces_of_a_batch_do_not_mix(tiny):
    images = recipe.image((3, 64, 64, 3), 5) * 2 - 1
    together = gpen.forward(tiny, images)
    for index in range(3):
        np.testing.assert_allclose(together[index], gpen.forward(tiny, images[index : index + 1])[0], atol=1e-4)


def test_xla_compiles_it(tiny):
    images = tf.constant(recipe.image((2, 64, 64, 3), 5) * 2 - 1)
    compiled = tf.function(gpen.forward, jit_compile=True)(tiny, images)
    np.testing.assert_allclose(compiled, gpen.forward(tiny, images), atol=1e-4)
