import numpy as np
import pytest
import tensorflow as tf

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
    enlarged = masknet.enlarge_bicubic_legacy(lq)
    np.testing.assert_allclose(enlarged[:1, :32, :32], case["inputa_resized_crop"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 2, 3), (1, 16, 16, 3)])
def test_enlarging_is_tf1s_kernel_up_to_the_edges(shape):
    lq = np.random.default_rng(0).random(shape, np.float32)
    size = (4 * shape[1], 4 * shape[2])
    expected = tf.raw_ops.ResizeBicubic(images=lq, size=size, align_corners=False, half_pixel_centers=False)
    np.testing.assert_allclose(masknet.enlarge_bicubic_legacy(lq), expected, rtol=0, atol=1e-6)


def test_initial_weights_are_variance_scaled():
    params = masknet.initial_params(seed=3)
    assert {name: value.shape for name, value in params.items()} == masknet.variable_shapes()
    kernel = params["Mask/conv4/kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(1 / (9 * 64)), rtol=0.02)
    assert np.abs(kernel).max() < 2.3 * np.sqrt(1 / (9 * 64))  # truncated at two of the drawn normal's deviations
    assert not params["Mask/conv4/bias"].any()
    assert not np.array_equal(kernel, params["Mask/conv5/kernel"])
    np.testing.assert_array_equal(kernel, masknet.initial_params(seed=3)["Mask/conv4/kernel"])
