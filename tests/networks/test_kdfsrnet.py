import numpy as np
import pytest
import recipe
import tensorflow as tf
from kdfsrnet_weights import PUBLISHED, published_shapes, state_dict, to_params

from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.networks.kdfsrnet import Architecture


@pytest.mark.parametrize(("network", "tolerance"), [("student", 5e-4), ("teacherp", 6e-5)])
def test_published_outputs(golden, network, tolerance):
    case, meta = golden("kdfsrnet")
    state = state_dict(network, meta["seed"])
    drawn = sum(np.abs(value, dtype=np.float64).sum() for value in state.values())
    assert drawn == pytest.approx(meta[f"weights_abs_sum_{network}"], rel=1e-6)
    images = [case["input"], case["parsing"]] if network == "teacherp" else [case["input"]]
    features, output = tf.function(kdfsrnet.forward)(to_params(state), tf.concat(images, axis=-1))
    np.testing.assert_allclose(output, case[f"{network}_output"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(features[4], case[f"{network}_bottleneck"], rtol=0, atol=tolerance)
    means, stds = zip(*((np.mean(feature), np.std(feature, ddof=1)) for feature in features), strict=True)
    np.testing.assert_allclose(means, case[f"{network}_feature_mean"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(stds, case[f"{network}_feature_std"], rtol=0, atol=tolerance)
    shapes = [[n, height, width, channels] for n, channels, height, width in meta[f"{network}_feature_shapes_nchw"]]
    assert [feature.shape.as_list() for feature in features] == shapes


@pytest.mark.parametrize("network", ["student", "teacherp"])
def test_names_and_shapes_are_the_published_ones(network):
    expected = {}
    for name, shape in published_shapes(network).items():
        if not name.startswith(("sub_mean", "add_mean")):  # never applied
            expected[name] = to_params({name: np.empty(shape, np.float32)})[name].shape
    assert kdfsrnet.variable_shapes(PUBLISHED[network]) == expected


@pytest.mark.parametrize("architecture", [Architecture(3, 16, 1), Architecture(6, 32, 3)])
def test_the_architecture_is_read_off_the_variables(architecture):
    params = kdfsrnet.initial_params(0, architecture)
    assert kdfsrnet.architecture_of(params) == architecture
    assert {name: value.shape for name, value in params.items()} == kdfsrnet.variable_shapes(architecture)


def test_drawn_as_pytorch_draws():
    params = kdfsrnet.initial_params(3, Architecture(3, 32, 1))
    for name, fan_in in (("head.0", 27), ("down2.1", 9 * 128), ("bottleneck.0.body.3.conv_du.2", 2)):
        for leaf in ("weight", "bias"):
            largest = np.abs(params[f"{name}.{leaf}"]).max()
            assert 0.8 * fan_in**-0.5 < largest <= fan_in**-0.5 + 1e-7
    again, other = (kdfsrnet.initial_params(seed, Architecture(3, 32, 1))["head.0.weight"] for seed in (3, 4))
    np.testing.assert_array_equal(params["head.0.weight"], again)
    assert not np.array_equal(again, other)


def test_xla_compiles_it():
    params = {name: tf.constant(v) for name, v in kdfsrnet.initial_params(0, Architecture(3, 16, 1)).items()}
    images = tf.constant(recipe.image((2, 32, 48, 3), 5))
    compiled = tf.function(kdfsrnet.forward, jit_compile=True)(params, images)[1]
    np.testing.assert_allclose(compiled, kdfsrnet.forward(params, images)[1], atol=1e-5)
