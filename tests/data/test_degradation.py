"""The chain against the published `generate_data`, and the draws against the published ranges and probabilities."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.data import degradation
from metaf2n_tf.data.degradation import STAGES, Parameters, StageParameters, degrade, draw_parameters
from metaf2n_tf.data.operations.resize import MODES, resize_to
from metaf2n_tf.data.operations.usm import sharpen

SILENT = tuple(dataclasses.replace(stage, gaussian_sigma=(0, 0), poisson_scale=(0, 0)) for stage in STAGES)
DRAWS = 2000


def read_planes(png):
    rgb = cv2.imdecode(png, cv2.IMREAD_COLOR_RGB)
    return tf.constant(np.float32(rgb / 255).transpose(2, 0, 1)[None])


def published_parameters(arrays, draw):
    drawn = draw["parameters"]
    kernel, kernel2, sinc = (arrays[f"draw{draw['draw']}_{name}"] for name in ("kernel", "kernel2", "sinc_kernel"))

    def stage(kernel, blurred, which, noise):
        return StageParameters(
            kernel=tf.constant(kernel),
            blurred=tf.constant(blurred),
            scale=tf.constant(drawn[f"scale{which}"], tf.float64),
            mode=tf.constant(MODES.index(drawn[f"mode{which}"])),
            gaussian=tf.constant(noise == "gaussian"),
            quality=tf.constant(drawn["jpeg_p" if which == 1 else "jpeg_p2"]),
        )

    first, second = draw["noise_branch"]
    return Parameters(
        stage(kernel, True, 1, first),
        stage(kernel2, draw["second_blur_applied"], 2, second),
        sinc=tf.constant(sinc),
        final_mode=tf.constant(MODES.index(drawn["mode3"])),
        sinc_before_jpeg=tf.constant(drawn["randj2"] < 0.5),
    )


@pytest.mark.parametrize("index", [0, 1])
def test_degraded_pictures_are_the_published_ones(golden, index):
    arrays, meta = golden("degradation_chain")
    draw = meta["draws"][index]
    parameters = published_parameters(arrays, draw)
    face, background = read_planes(arrays["face_png"]), read_planes(arrays["back_png"])
    sharp = sharpen(background)
    sample = sharp.numpy()[0].transpose(1, 2, 0)[::11, ::11]
    np.testing.assert_allclose(sample, arrays[f"draw{index}_back_usm_sample"], rtol=0, atol=1e-4)
    for name, planes in (("face", face), ("back", sharp)):
        lq = tf.function(degrade)(planes, parameters, [0, 0], SILENT).numpy()[0].transpose(1, 2, 0)
        expected = arrays[f"draw{index}_lq_{name}"]
        difference = np.abs(np.int32(lq) - expected)
        assert lq.dtype == expected.dtype
        assert (difference == 0).mean() >= 0.98
        assert difference.mean() <= 0.02
        assert difference.max() <= 4
    lq_face = np.float32(arrays[f"draw{index}_lq_face"]).transpose(2, 0, 1)[None]
    enlarged = resize_to(lq_face, (256, 256), "bicubic").numpy()[0].transpose(1, 2, 0)[::16, ::16]
    np.testing.assert_allclose(enlarged, arrays[f"draw{index}_face_up256_sample"], rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def draws():
    """Many tasks' parameters, `{name: (DRAWS, ...)}`."""
    seeds = tf.stack([tf.range(DRAWS), tf.zeros(DRAWS, tf.int32)], axis=1)
    dataset = tf.data.Dataset.from_tensor_slices(seeds).map(draw_parameters).batch(DRAWS)
    drawn = next(iter(dataset))
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), drawn)


def assert_rate(happened, prob):
    """A rate is within 5 standard errors of a probability."""
    assert abs(np.mean(happened) - prob) <= 5 * np.sqrt(prob * (1 - prob) / len(happened)) + 1e-9


def test_rates_are_the_published_ones(draws):
    assert draws.first.blurred.all()
    assert_rate(draws.second.blurred, 0.8)
    assert_rate(draws.sinc_before_jpeg, 0.5)
    for stage, (up, down, keep) in ((draws.first, (0.2, 0.7, 0.1)), (draws.second, (0.3, 0.4, 0.3))):
        assert_rate(stage.gaussian, 0.5)
        assert_rate(stage.scale > 1, up)
        assert_rate(stage.scale < 1, down)
        assert_rate(stage.scale == 1, keep)
        for mode in range(3):
            assert_rate(stage.mode == mode, 1 / 3)
    pulses = draws.sinc[:, 10, 10] == 1
    assert_rate(pulses, 0.2)


def test_ranges_are_the_published_ones(draws):
    for values, low, high in (
        (draws.first.scale, 0.15, 1.5),
        (draws.second.scale, 0.3, 1.2),
        (draws.first.quality, 30, 95),
        (draws.second.quality, 30, 95),
    ):
        reach = high - low
        assert low <= values.min() < low + 0.02 * reach
        assert high - 0.02 * reach < values.max() <= high


def test_kernels_are_of_the_published_sizes_and_kinds(draws):
    for kernels in (draws.first.kernel, draws.second.kernel):
        np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-5)
        assert_rate((kernels < 0).any(axis=(1, 2)), 0.1)  # sinc filters alone are negative somewhere
    touched = (draws.sinc != 0).any(axis=1)[:, :10]  # columns left of the centre
    sizes = 21 - 2 * touched[draws.sinc[:, 10, 10] != 1].argmax(axis=1)
    for size in degradation.KERNEL_SIZES:
        assert_rate(sizes == size, 1 / 8)


@pytest.fixture(scope="module")
def kernel_draws():
    """The arguments that many kernels are made with, by stage: `[{name: (N,)}, {name: (N,)}]`, and of sinc filters."""
    blurs, sincs = [], []
    names = ("size", "sigma_x", "sigma_y", "theta", "beta", "plateau")

    def record(made, names, arguments):
        made.append({name: value.numpy() for name, value in zip(names, arguments, strict=True)})
        return tf.zeros([21, 21])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(degradation, "bivariate", lambda *arguments: record(blurs, names, arguments))
        patch.setattr(degradation, "circular_lowpass", lambda *arguments: record(sincs, ("size", "cutoff"), arguments))
        for seed in range(400):
            draw_parameters(tf.constant([seed, 9]))

    def gather(drawn):
        return {name: np.array([one[name] for one in drawn]) for name in drawn[0]}

    return [gather(blurs[0::2]), gather(blurs[1::2])], [gather(sincs[which::3]) for which in range(3)]


def assert_spread(values, low, high):
    """Uniform between two numbers, by its mean, and near both ends."""
    reach = high - low
    assert low <= values.min()
    assert values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 5 * reach / np.sqrt(12 * len(values))
    assert np.ptp(values) > reach * (1 - 10 / len(values))


def test_blur_kernels_are_drawn_as_published(kernel_draws):
    for drawn, top in zip(kernel_draws[0], (3.0, 1.5), strict=True):
        for size in degradation.KERNEL_SIZES:
            assert_rate(drawn["size"] == size, 1 / 8)
        isotropic, plateau = drawn["theta"] == 0, drawn["plateau"]
        gaussian = (drawn["beta"] == 1) & ~plateau
        generalized = ~gaussian & ~plateau
        for kind, of_isotropic, of_anisotropic in (
            (gaussian, 0.45, 0.25),
            (generalized, 0.12, 0.03),
            (plateau, 0.12, 0.03),
        ):
            assert_rate(kind & isotropic, of_isotropic)
            assert_rate(kind & ~isotropic, of_anisotropic)
        assert_spread(drawn["sigma_x"], 0.2, top)
        assert_spread(drawn["sigma_y"][~isotropic], 0.2, top)
        np.testing.assert_array_equal(drawn["sigma_x"][isotropic], drawn["sigma_y"][isotropic])
        assert_spread(drawn["theta"][~isotropic], -np.pi, np.pi)
        beta = drawn["beta"][generalized]
        assert_rate(beta < 1, 0.5)
        assert_spread(beta[beta < 1], 0.5, 1)
        assert_spread(beta[beta > 1], 1, 4)
        beta = drawn["beta"][plateau]
        assert_rate(beta == 1, 0.5)
        assert_spread(beta[beta > 1], 1, 2)


def test_sinc_cutoffs_are_drawn_as_published(kernel_draws):
    *stages, final = kernel_draws[1]
    for drawn in stages:
        small = drawn["size"] < 13
        assert_spread(drawn["cutoff"][small], np.pi / 3, np.pi)
        assert_spread(drawn["cutoff"][~small], np.pi / 5, np.pi)
    assert_spread(final["cutoff"], np.pi / 3, np.pi)
    assert_rate(final["size"] == 21, 1 / 8)


def test_strength_and_colour_of_noise_are_drawn_as_published(golden):
    arrays, meta = golden("noise")
    image = tf.constant(np.repeat(arrays["image_mid"].transpose(0, 3, 1, 2), 1000, axis=0))
    for expected, gaussian in zip(meta["random_wrappers"], (True, False), strict=True):
        noisy = degradation._add_noise(image, STAGES[0], tf.constant(gaussian), tf.constant([4, 5])).numpy()
        noise = np.float64(noisy - image.numpy())
        assert_rate(np.median(np.abs(noise[:, 0] - noise[:, 1]), axis=(1, 2)) < 1e-6, 0.4)
        squares = np.square(noise).mean(axis=(1, 2, 3))
        published = expected["mean_square"]
        error = np.hypot(squares.std() / np.sqrt(len(squares)), published["se"])
        clipped = 0 if gaussian else 0.1 * published["value"]  # of strong Poisson noise some is cut off here
        assert abs(squares.mean() - published["value"]) <= 5 * error + clipped


def test_the_first_stage_blurs_more(draws):
    def median_width(kernels):
        blurs = kernels[(kernels >= 0).all(axis=(1, 2))]
        return np.median(np.sqrt((blurs * np.square(np.arange(21) - 10)).sum(axis=(1, 2))))

    assert median_width(draws.first.kernel) > 1.4 * median_width(draws.second.kernel)


def test_the_same_seed_gives_the_same_picture_and_each_picture_its_own_noise(golden):
    planes = tf.repeat(read_planes(golden("degradation_chain")[0]["face_png"])[:, :, :96, :96], 3, axis=0)
    degraded = tf.function(lambda seed, noise: degrade(planes, draw_parameters(seed), noise))
    for seed in tf.constant([[3, 1], [4, 1], [5, 1], [6, 1]]):
        one, again, other = (degraded(seed, tf.constant([7, noise])) for noise in (7, 7, 8))
        np.testing.assert_array_equal(one, again)
        assert (one.numpy() != other.numpy()).any()
        assert (one.numpy()[0] != one.numpy()[1]).any()


def test_shared_noise_is_equally_strong_in_all_pictures_of_a_task_but_not_the_same():
    flat, stage = tf.fill([40, 3, 64, 64], 0.5), STAGES[0]

    def spread(seed, shared):
        noisy = degradation._add_noise(flat, stage, tf.constant(True), tf.constant([seed, 1]), shared)
        noise = noisy.numpy() - 0.5
        assert (noise[0] != noise[1]).any()
        grays = np.abs(noise[:, 0] - noise[:, 1]).max(axis=(1, 2)) < 1e-6
        return noise.std(axis=(1, 2, 3)), grays

    together, own = (spread(2, shared) for shared in (tf.constant([3, 4]), None))
    assert together[0].max() < 1.1 * together[0].min()
    assert own[0].max() > 3 * own[0].min()
    assert len(set(together[1])) == 1
    assert len(set(own[1])) == 2
    np.testing.assert_allclose(spread(5, tf.constant([3, 4]))[0].mean(), together[0].mean(), rtol=0.05)


def test_shared_noise_goes_through_the_whole_chain():
    flat, parameters = tf.fill([8, 3, 96, 96], 0.5), draw_parameters(tf.constant([1, 1]))
    for picture_seed in ([1, 2], [3, 4]):
        made = [
            degrade(flat, parameters, tf.constant(picture_seed), shared_noise=tf.constant([9, shared]))
            for shared in range(4)
        ]
        spreads = np.array([np.float64(lq).std(axis=(1, 2, 3)) for lq in made])
        assert (spreads.max(axis=1) < 1.5 * spreads.min(axis=1)).all()
        assert spreads.mean(axis=1).max() > 2 * spreads.mean(axis=1).min()


def test_degraded_pictures_still_show_what_they_showed(golden):
    planes = read_planes(golden("degradation_chain")[0]["face_png"])
    small = tf.nn.avg_pool2d(tf.transpose(planes, [0, 2, 3, 1]), 4, 4, "VALID").numpy()[0]
    degraded = tf.function(lambda seed: degrade(planes, draw_parameters(seed), seed))
    correlations = []
    for step in range(20):
        lq = degraded(tf.constant([step, 5])).numpy()[0].transpose(1, 2, 0)
        correlations.append(np.corrcoef(lq.ravel(), small.ravel())[0, 1])
    assert min(correlations) > 0.6
    assert np.median(correlations) > 0.9
