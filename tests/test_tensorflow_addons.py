"""Our operations beside tensorflow-addons', where it has the same ones; it imports on the stack tf215 only.

Where conventions differ, what is compared is what both define: OpenCV rounds positions to 1/32 pixel, tensorflow-addons
does not; landmarks move what lies between them in ways of their own, but an affine motion is one for both.
"""

import warnings

import cv2
import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.data.images import read_rgb8
from metaf2n_tf.data.operations import blur_kernels, usm
from metaf2n_tf.data.operations.filter2d import filter2d
from metaf2n_tf.faces import align
from metaf2n_tf.faces.exemplars.warp import mls_grid
from metaf2n_tf.meta import adam
from metaf2n_tf.networks import asffnet, discriminator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that it has come to its end
    tfa = pytest.importorskip("tensorflow_addons", reason="make test STACK=tf215: tensorflow-addons imports there only")


def affine(image, forward, size):
    """tensorflow-addons takes where each output pixel comes from, OpenCV where each input pixel goes."""
    backward = cv2.invertAffineTransform(forward)
    transform = np.float32([*backward.ravel(), 0, 0])
    return tfa.image.transform(np.float32(image), transform, "bilinear", output_shape=[size, size]).numpy()


def check_levels(ours, theirs, picture):
    """Rounding to levels, and positions off by 1/64 pixel along both axes between neighbours that differ this much."""
    steepest = max(np.abs(np.diff(np.float32(picture), axis=axis)).max() for axis in (0, 1))
    difference = np.abs(np.float32(ours) - theirs)
    assert difference.max() <= 0.5 + 2 * steepest / 64 + 0.01
    assert difference.mean() <= 0.35


LANDMARKS = {
    "inside": [[50, 44], [76, 46], [62, 60], [52, 72], [74, 74]],
    "turned": [[40, 70], [62, 52], [60, 72], [60, 90], [78, 78]],
    "at_the_border": [[4, 20], [24, 18], [12, 32], [6, 44], [22, 43]],
}


@pytest.mark.parametrize("landmarks", LANDMARKS.values(), ids=LANDMARKS)
def test_faces_are_warped_alike(sample_lq, landmarks):
    """Black outside, with half a pixel of shade in both."""
    photo = read_rgb8(sample_lq)
    forward, _ = align.fit_face(np.float32(landmarks), 256)
    (ours,) = align.warp_to_squares(photo, [forward], 256)
    bordered = cv2.copyMakeBorder(photo, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    check_levels(ours, affine(photo, forward, 256), bordered)


def test_faces_are_pasted_alike(sample_lq):
    photo = read_rgb8(sample_lq)
    _, inverse = align.fit_face(np.float32(LANDMARKS["inside"]), 256)
    square = np.uint8(np.round(recipe.image((256, 256, 3), 3) * 255))
    corner, matrix = (30, 40), 4 * inverse
    matrix[:, 2] += 1.5 - 4 * np.array(corner[::-1])
    ours = align.paste_x4(square, inverse, photo[30:80, 40:90], corner)
    covered = affine(np.ones((256, 256, 1)), matrix, 200)[..., 0] == 1
    assert covered.mean() > 0.3
    check_levels(ours[covered], affine(square, matrix, 200)[covered], square)


def test_whole_pixels_and_quarter_turns_are_exact(sample_lq):
    photo = read_rgb8(sample_lq)[:128, :128]
    right, down = 5, -3
    (moved,) = align.warp_to_squares(photo, [np.float64([[1, 0, right], [0, 1, down]])], 128)
    np.testing.assert_array_equal(moved, tfa.image.translate(photo, [right, down], "bilinear"))
    (turned,) = align.warp_to_squares(photo, [np.float64([[0, 1, 0], [-1, 0, 127]])], 128)
    theirs = tfa.image.rotate(tf.cast(photo, tf.float32), np.pi / 2, "bilinear")
    np.testing.assert_allclose(turned, theirs, rtol=0, atol=1e-2)  # its matrix is float32


def test_features_are_sampled_alike():
    """With gradients, and up to a pixel beyond the border, where both fade to zero."""
    features = tf.constant(recipe.image((2, 9, 13, 4), 1))
    pixels = np.random.default_rng(2).uniform([-2.5, -2.5], [14.5, 10.5], (2, 6, 7, 2)).astype(np.float32)
    grid = tf.constant((2 * pixels + 1) / np.float32([13, 9]) - 1)
    weights = tf.random.stateless_normal([2, 6, 7, 4], [3, 4])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([features, grid])
        ours = asffnet.sample(features, grid)
        theirs = tfa.image.resampler(features, ((grid + 1) * [13.0, 9.0] - 1) / 2)
        sums = [tf.reduce_sum(weights * x) for x in (ours, theirs)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert np.any(np.all(ours == 0, axis=-1))
    for by in (features, grid):
        np.testing.assert_allclose(*(tape.gradient(one, by) for one in sums), rtol=0, atol=1e-4)


def test_landmarks_that_move_by_an_affine_map_warp_alike():
    """Moving least squares and thin plates both give back the map itself, as far as it stays within the features."""
    size = 128
    reference = np.random.default_rng(5).uniform(120, 400, (68, 2))
    matrix = np.array([[0.95, 0.10], [-0.06, 1.05]])
    face = (reference - 256) @ matrix.T + 256 + [9, -6]
    theirs = tfa.image.sparse_image_warp(
        tf.zeros([1, size, size, 1], tf.float64),
        source_control_point_locations=reference[None, 17:, ::-1] / 4,
        dest_control_point_locations=face[None, 17:, ::-1] / 4,
    )
    rows_and_columns = np.indices((size, size)).transpose(1, 2, 0) - theirs[1][0]
    ours = mls_grid(face, reference, 4 * size)[..., ::-1] * (size / 2) + size / 2
    inside = np.all((rows_and_columns > 0.01) & (rows_and_columns < size - 1.01), axis=-1)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(ours[inside], rows_and_columns[inside], rtol=0, atol=1e-3)


def planes_of(images):
    return tf.transpose(images, [0, 3, 1, 2])


PICTURES = recipe.image((2, 40, 33, 3), 6)


@pytest.mark.parametrize(("side", "sigma"), [(7, (1.2, 1.2)), (15, (0.7, 3.0)), (21, (2.9, 1.1))])
def test_gaussian_blur(side, sigma):
    """Its sigmas are those of rows and columns; ours of x and y, on the grid that all kernels share."""
    kernel = blur_kernels.bivariate(side, sigma[1], sigma[0], 0.0)
    theirs = tfa.image.gaussian_filter2d(PICTURES, side, sigma, "REFLECT")
    np.testing.assert_allclose(filter2d(planes_of(PICTURES), kernel), planes_of(theirs), rtol=0, atol=2e-6)


@pytest.mark.parametrize("side", [3, 9, 21])
def test_mean_filter(side):
    kernel = tf.fill([side, side], np.float32(1 / side**2))
    theirs = tfa.image.mean_filter2d(PICTURES, side, "REFLECT")
    np.testing.assert_allclose(filter2d(planes_of(PICTURES), kernel), planes_of(theirs), rtol=0, atol=2e-6)


def test_unsharp_masking():
    pictures = recipe.image((1, 90, 120, 3), 7)
    blurred = {"filter_shape": 51, "sigma": 0.3 * (25 - 1) + 0.8, "padding": "REFLECT"}
    residual = pictures - tfa.image.gaussian_filter2d(pictures, **blurred)
    seams = tf.cast(tf.abs(residual) * 255 > 10, tf.float32)
    assert 0.05 < np.mean(seams) < 0.95
    soft = tfa.image.gaussian_filter2d(seams, **blurred)
    theirs = soft * tf.clip_by_value(pictures + 0.5 * residual, 0, 1) + (1 - soft) * pictures
    np.testing.assert_allclose(usm.sharpen(planes_of(pictures)), planes_of(theirs), rtol=0, atol=2e-6)


def test_spectral_normalization():
    params = discriminator.initial_params(seed=4, width=4)
    for _ in range(3):
        normalized, advanced = discriminator.normalize(params)
        for conv in discriminator.NORMALIZED:
            kernel = params[f"Discriminator/{conv}/weight"]
            side, _, cin, cout = kernel.shape
            layer = tfa.layers.SpectralNormalization(tf.keras.layers.Conv2D(cout, side, use_bias=False))
            layer.build([1, 8, 8, cin])
            layer.layer.kernel.assign(kernel)
            layer.u.assign(params[f"Discriminator/{conv}/u"])
            layer.normalize_weights()
            np.testing.assert_allclose(
                normalized[f"Discriminator/{conv}/weight"], layer.layer.kernel, rtol=2e-6, atol=1e-7
            )
            np.testing.assert_allclose(advanced[f"Discriminator/{conv}/u"], layer.u, rtol=0, atol=1e-6)
        params |= advanced


@pytest.mark.parametrize("name", ["LazyAdam", "AdamW"])
def test_adam(name):
    """LazyAdam is Adam where gradients are dense, AdamW where nothing decays."""
    options = {"AdamW": {"weight_decay": 0.0}, "LazyAdam": {}}[name]
    optimizer = getattr(tfa.optimizers, name)(learning_rate=1e-2, epsilon=adam.EPSILON, **options)
    params = tf.nest.map_structure(tf.constant, recipe.weights({"weight": (5, 7), "bias": (7,)}, 8))
    variables, state = {key: tf.Variable(value) for key, value in params.items()}, adam.initial_state(params)
    for step in range(5):
        gradient = recipe.weights({key: value.shape for key, value in params.items()}, 20 + step)
        params, state = adam.update(params, gradient, state, 1e-2)
        optimizer.apply_gradients((gradient[key], variables[key]) for key in params)
    for key, value in params.items():
        np.testing.assert_allclose(value, variables[key], rtol=0, atol=1e-6)
