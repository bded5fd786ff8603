"""Each operation against the outputs of the published implementation."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.data.operations.blur_kernels import bivariate, circular_lowpass, pulse
from metaf2n_tf.data.operations.filter2d import filter2d
from metaf2n_tf.data.operations.jpeg import jpeg
from metaf2n_tf.data.operations.noise import gaussian_noise, poisson_noise
from metaf2n_tf.data.operations.resize import MODES, resize_by, resize_to
from metaf2n_tf.data.operations.usm import sharpen
from metaf2n_tf.errors import UserError


def planar(pictures):
    """(N, H, W, 3), uint8 or float32, as the operations take them."""
    scale = 255 if pictures.dtype == np.uint8 else 1
    return tf.constant(np.float32(pictures / scale).transpose(0, 3, 1, 2))


def channels_last(planes):
    return planes.numpy().transpose(0, 2, 3, 1)


FAMILIES = {
    "bivariate_Gaussian": {},
    "bivariate_generalized_Gaussian": {},
    "bivariate_plateau": {"plateau": True},
}


def test_blur_kernels(golden):
    arrays, meta = golden("blur_kernels")
    assert len(meta["cases"]) == 19
    for case in meta["cases"]:
        args = case["args"]
        if case["function"] == "circular_lowpass_kernel":
            kernel = circular_lowpass(args["kernel_size"], args["cutoff"], args["pad_to"] or args["kernel_size"])
        else:
            isotropic = args["isotropic"]
            sigma_y, theta = (args["sig_x"], 0.0) if isotropic else (args["sig_y"], args["theta"])
            shape = FAMILIES[case["function"]] | {"beta": args.get("beta", 1.0), "grid": args["kernel_size"]}
            kernel = bivariate(args["kernel_size"], args["sig_x"], sigma_y, theta, **shape)
        np.testing.assert_allclose(kernel, arrays[case["key"]], rtol=0, atol=2e-6, err_msg=case["key"])


def test_kernels_of_several_sizes_share_a_batch():
    together = bivariate([7, 21], [0.9, 2.0], [0.9, 1.0], [0.0, 1.0], [1.0, 0.7], [False, True])
    np.testing.assert_array_equal(together[0, 7:14, 7:14], bivariate(7, 0.9, 0.9, 0.0, grid=7))
    np.testing.assert_array_equal(together[1], bivariate(21, 2.0, 1.0, 1.0, 0.7, True))
    assert np.abs(together[0].numpy()).sum() == pytest.approx(1, abs=1e-6)
    assert not together[0, :7].numpy().any()


def test_filter2d(golden):
    arrays, _ = golden("filter2d")
    for name in ("aniso21", "sinc21", "asym7"):
        out = filter2d(planar(arrays["image"]), arrays[f"kernel_{name}"])
        np.testing.assert_allclose(channels_last(out), arrays[f"out_{name}"], rtol=0, atol=2e-6, err_msg=name)
    kernels = np.stack([arrays["kernel_aniso21"], arrays["kernel_sinc21"]])
    out = filter2d(planar(arrays["batch"]), kernels)
    np.testing.assert_allclose(channels_last(out), arrays["out_batch"], rtol=0, atol=2e-6)


@pytest.mark.parametrize("side", [11, 97, 251])
def test_filter2d_at_awkward_sizes(side):
    picture = np.random.default_rng(side).random((1, 3, side, side + 2), np.float32)
    np.testing.assert_allclose(filter2d(picture, pulse()), picture, rtol=0, atol=1e-6)


def test_resize(golden):
    arrays, meta = golden("resize")
    assert len(meta["cases"]) > 40
    for case in meta["cases"]:
        planes = planar(arrays[case["image"]])
        if "size" in case:
            out = resize_to(planes, case["size"], case["mode"])
        else:
            out = resize_by(planes, case["scale_factor"], case["mode"])
        np.testing.assert_allclose(channels_last(out), arrays[case["key"]], rtol=0, atol=1e-5, err_msg=case["key"])


@pytest.mark.parametrize("mode", MODES)
def test_resize_with_everything_dynamic_is_the_same(golden, mode):
    planes = planar(golden("resize")[0]["image0"])

    @tf.function(input_signature=[tf.TensorSpec([1, 3, None, None]), tf.TensorSpec([], tf.float64)])
    def both(planes, scale):
        size = tf.cast(tf.cast(tf.shape(planes)[2:], tf.float64) * scale, tf.int32)
        index = tf.constant(MODES.index(mode))
        return resize_by(planes, scale, index), resize_to(planes, (size[0], size[1]), index)

    for scale in (0.4371, 1.0, 1.2345):
        by_scale, to_size = both(planes, scale)
        np.testing.assert_allclose(by_scale, resize_by(planes, scale, mode), rtol=0, atol=1e-6)
        np.testing.assert_allclose(to_size, resize_to(planes, by_scale.shape[2:], mode), rtol=0, atol=1e-6)


def test_jpeg(golden):
    arrays, meta = golden("jpeg")
    assert len(meta["cases"]) == 10
    for case in meta["cases"]:
        out = jpeg(planar(arrays[case["image"]]), case["quality"])
        np.testing.assert_allclose(channels_last(out), arrays[case["out"]], rtol=0, atol=2e-5, err_msg=case["out"])


@pytest.mark.parametrize("quality", [100, 0.0, -5, float("nan"), [40.0, 100.0]])
def test_jpeg_without_a_table_is_refused(quality):
    planes = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    with pytest.raises(UserError, match="JPEG quality .*: above 0 and below 100"):
        jpeg(planes, quality)
    assert np.isfinite(jpeg(planes, 99.9).numpy()).all()


def test_usm(golden):
    arrays, _ = golden("usm")
    np.testing.assert_allclose(channels_last(sharpen(planar(arrays["image"]))), arrays["out"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: filter2d(x, pulse()),
        lambda x: resize_by(x, 0.6, "bicubic"),
        lambda x: resize_to(x, (50, 31), "area"),
        lambda x: jpeg(x, 40.0),
        sharpen,
    ],
)
def test_operations_compile_with_xla(operation):
    picture = tf.constant(np.random.default_rng(0).random((2, 3, 52, 60), np.float32))
    compiled = tf.function(operation, jit_compile=True)(picture)
    np.testing.assert_allclose(compiled, operation(picture), rtol=0, atol=1e-5)


# Noise: the mean of many draws, with its standard error, against the published one with its own.

NOISES = {"gaussian": (gaussian_noise, "sigma"), "poisson": (poisson_noise, "scale")}
DRAWS = 200


def assert_agree(draws, expected, label):
    mean, error = draws.mean(), draws.std(ddof=1) / np.sqrt(len(draws))
    bound = 5 * np.hypot(error, expected["se"]) + 1e-12
    assert abs(mean - expected["value"]) <= bound, (label, mean, expected)


def draw_many(kind, image, strength, gray):
    function, _ = NOISES[kind]
    planes = planar(np.repeat(image, DRAWS, axis=0))
    return planes.numpy(), function(planes, [3, 4], strength, bool(gray)).numpy()


def correlation(a, b):
    a, b = a.reshape(DRAWS, -1), b.reshape(DRAWS, -1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))


def test_noise_statistics(golden):
    arrays, meta = golden("noise")
    assert len(meta["cases"]) == 12
    over = (1, 2, 3)
    for case in meta["cases"]:
        kind, gray = case["kind"], case["gray"]
        strength = case[NOISES[kind][1]]
        label = f"{kind} {strength} gray {gray}"
        _, noise = draw_many(kind, arrays["image_mid"], strength, gray)
        before = {"mean": noise.mean(axis=over), "mean_square": np.square(noise).mean(axis=over)}
        for channel, name in enumerate("RGB"):
            before[f"mean_square_{name}"] = np.square(noise[:, channel]).mean(axis=(1, 2))
        for (i, a), (j, b) in itertools.combinations(enumerate("RGB"), 2):
            before[f"corr_{a}{b}"] = correlation(noise[:, i], noise[:, j])
        planes, noise = draw_many(kind, arrays["image_full"], strength, gray)
        noisy = np.clip(planes + noise, 0, 1)
        after = {
            "mean": noisy.mean(axis=over),
            "mean_difference": (noisy - planes).mean(axis=over),
            "mean_square_difference": np.square(noisy - planes).mean(axis=over),
            "fraction_0": (noisy == 0).mean(axis=over),
            "fraction_1": (noisy == 1).mean(axis=over),
        }
        for found, expected in ((before, "noise_before_clip"), (after, "after_clip_on_image_full")):
            assert set(found) == set(case[expected])
            for name, draws in found.items():
                tolerance = dict(case[expected][name])
                tolerance["se"] = max(tolerance["se"], 1e-7)  # of gray noise the correlation is 1, up to rounding
                assert_agree(np.float64(draws), tolerance, f"{label} {expected} {name}")


def test_poisson_noise_grows_with_brightness(golden):
    arrays, meta = golden("noise")
    expected = meta["poisson_brightness_bins"]
    planes, noise = draw_many("poisson", arrays["image_mid"], expected["scale"], expected["gray"])
    low, high = expected["tercile_edges"]
    bins = [planes <= low, (planes > low) & (planes <= high), planes > high]
    for where, bin_expected in zip(bins, expected["bins"], strict=True):
        draws = np.array([np.square(one[inside]).mean() for one, inside in zip(noise, where, strict=True)])
        assert_agree(draws, {"value": bin_expected["mean_square"], "se": bin_expected["se"]}, bin_expected["bin"])


def test_noise_of_each_picture_has_its_own_strength_and_kind(golden):
    planes = planar(np.repeat(golden("noise")[0]["image_mid"], 2, axis=0))
    for function, _ in NOISES.values():
        noise = function(planes, [5, 6], tf.constant([0.0, 2.0]), tf.constant([False, True])).numpy()
        assert not noise[0].any()
        assert noise[1].any()
        np.testing.assert_array_equal(noise[1, 0], noise[1, 1])
        np.testing.assert_array_equal(noise, function(planes, [5, 6], tf.constant([0.0, 2.0]), [False, True]))
