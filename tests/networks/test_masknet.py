import numpy as np

from metaf2n_tf.networks import masknet


def test_published_weight_map(golden, golden_mask):
    case, meta = golden("masknet")
    total = sum(np.abs(value.astype(np.float64)).sum() for value in golden_mask.values())
    np.testing.assert_allclose(total, meta["weights_abs_sum"], rtol=1e-6)
    lq, hq = ((case[name] / 255.0).astype(np.float32) for name in ("inputa_uint8", "labela_uint8"))
    np.testing.assert_allclose(masknet.forward(golden_mask, lq, hq), case["W"], rtol=0, atol=2e-5)


def test_resize_is_tf1s(golden):
    case, _ = golden("masknet")
    lq = (case["inputa_uint8"] / 255.0).astype(np.float32)
    resized = masknet.resize_bicubic_legacy(lq, (64, 64))
    np.testing.assert_allclose(resized[:1, :32, :32], case["inputa_resized_crop"], rtol=0, atol=1e-6)


def test_initial_weights_are_variance_scaled():
    params = masknet.initial_params(seed=3)
    assert {name: value.shape for name, value in params.items()} == masknet.variable_shapes()
    kernel = params["Mask/conv4/kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(1 / (9 * 64)), rtol=0.02)
    assert np.abs(kernel).max() < 2.3 * np.sqrt(1 / (9 * 64))  # truncated at two of the drawn normal's deviations
    assert not params["Mask/conv4/bias"].any()
    np.testing.assert_array_equal(kernel, masknet.initial_params(seed=3)["Mask/conv4/kernel"])
