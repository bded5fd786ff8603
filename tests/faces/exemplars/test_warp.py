import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.exemplars.warp import mls_grid

SIZE = 64  # of pictures here; their features are 16 pixels wide


def draw(seed, low=0, high=SIZE):
    return np.random.default_rng(seed).uniform(low, high, (68, 2))


def to_pixels(grid):
    """(S, S, 2) rows and columns of the exemplar's features, undoing what `grid_sample` wants."""
    return grid[..., ::-1].astype(np.float64) * (len(grid) / 2) + len(grid) / 2


def reference(lq, ref):
    """Moving least squares as the paper has it, pixel after pixel, with the published exceptions; rows and columns."""
    size, p, q = SIZE // 4, ref[17:, ::-1] / 4, lq[17:, ::-1] / 4
    found, singular = np.zeros((size, size, 2)), False
    fits = {}
    for v in np.ndindex(size, size):
        w = 1 / (np.sum((p - v) ** 2, axis=1) + 2e-8)
        p_star, q_star = w @ p / w.sum(), w @ q / w.sum()
        forward = (w[:, None] * (p - p_star)).T @ (q - q_star)
        spread = (w[:, None] * (p - p_star)).T @ (p - p_star)
        fits[v] = forward, spread, p_star, q_star
        singular |= abs(np.linalg.det(forward)) < 1e-12
    for v, (forward, spread, p_star, q_star) in fits.items():
        if singular and np.linalg.det(forward) < 1e-8:
            found[v] = v + q_star - p_star
        else:
            found[v] = (v - q_star) @ np.linalg.inv(forward) @ spread + p_star
    return np.where((found < 0) | (found > size - 1), 0, found), singular


def test_published_grid(golden):
    case, meta = golden("asffnet")
    grid = mls_grid(case["lq_landmarks"], case["ref_landmarks"][case["selected"]])
    assert grid.shape == (128, 128, 2)
    assert grid.dtype == np.float32
    step = meta["main"]["grid_subsample"]
    assert (np.abs(grid[None, ::step, ::step] - case["grid_sub"]) > 1e-4).mean() <= 1e-3
    assert np.abs((grid == -1).sum() - meta["main"]["grid_zeroed"]) <= 30


@pytest.mark.parametrize("seed", range(3))
def test_any_landmarks_also_outside_the_picture(seed):
    lq, ref = draw(seed, -8, SIZE + 8), draw(seed + 10, -8, SIZE + 8)
    expected, singular = reference(lq, ref)
    assert not singular
    np.testing.assert_allclose(to_pixels(mls_grid(lq, ref, SIZE)), expected, rtol=0, atol=1e-5)


def test_a_singular_pixel_changes_what_small_and_negative_determinants_mean():
    """At the corner pixel, exemplar points in opposite pairs that go to one point each cancel exactly."""
    half, targets = draw(1, 4, SIZE)[:25], draw(2)[:25]
    lq, ref = draw(3), draw(4)
    ref[17:67:2], ref[18:67:2], ref[67] = half, -half, 0
    lq[17:67:2], lq[18:67:2], lq[67] = targets, targets, targets[0]
    expected, singular = reference(lq, ref)
    assert singular
    np.testing.assert_allclose(to_pixels(mls_grid(lq, ref, SIZE)), expected, rtol=0, atol=1e-5)


def test_points_that_are_all_one_shift_the_picture():
    rows, columns = np.indices((128, 128)) + np.array([30.5, -16.5])[:, None, None]
    expected = np.stack([np.where(rows <= 127, rows, 0), np.where(columns >= 0, columns, 0)], axis=-1)
    lq, ref = np.tile([128.0, 256.0], (68, 1)), np.tile([194.0, 134.0], (68, 1))
    np.testing.assert_allclose(to_pixels(mls_grid(lq, ref)), expected, rtol=0, atol=1e-5)


def test_an_affine_transform_of_the_landmarks_is_one_of_the_picture():
    lq = np.random.default_rng(0).uniform(100, 400, (68, 2))
    matrix, shift = np.array([[0.9, 0.2], [-0.1, 1.1]]), np.array([-40.3, 22.7])
    positions = np.indices((128, 128)).transpose(1, 2, 0)[..., ::-1] @ matrix.T + shift / 4
    expected = np.where((positions < 0) | (positions > 127), 0, positions)[..., ::-1]
    assert (expected == 0).mean() > 0.05
    np.testing.assert_allclose(to_pixels(mls_grid(lq, lq @ matrix.T + shift)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(480, 512), (512, 400)])
def test_pictures_need_not_be_square(size):
    lq = np.random.default_rng(0).uniform(100, 380, (68, 2))
    matrix, shift = np.array([[0.9, 0.2], [-0.1, 1.1]]), np.array([-40.3, 22.7])
    height, width = (side // 4 for side in size)
    positions = np.indices((height, width)).transpose(1, 2, 0)[..., ::-1] @ matrix.T + shift / 4
    expected = np.where((positions < 0) | (positions > [width - 1, height - 1]), 0, positions)
    grid = mls_grid(lq, lq @ matrix.T + shift, size)
    half = np.array([width, height]) / 2
    np.testing.assert_allclose(grid * half + half, expected, rtol=0, atol=2e-5)


def test_equal_landmarks_move_nothing():
    """On the last row and column rounding decides whether a coordinate has left the features, as published."""
    positions = to_pixels(mls_grid(draw(0), draw(0), SIZE))[:-1, :-1]
    np.testing.assert_allclose(positions, np.indices((15, 15)).transpose(1, 2, 0), rtol=0, atol=1e-5)


def test_the_outline_has_no_say():
    lq, ref = draw(0), draw(1)
    other_lq, other_ref = draw(2), draw(3)
    other_lq[17:], other_ref[17:] = lq[17:], ref[17:]
    np.testing.assert_array_equal(mls_grid(lq, ref, SIZE), mls_grid(other_lq, other_ref, SIZE))


@pytest.mark.parametrize("which", [0, 1], ids=["face", "exemplar"])
def test_landmarks_that_cannot_be_used(which):
    landmarks = [draw(0), draw(1)]
    landmarks[which] = np.where(np.arange(68)[:, None] == 40, np.nan, landmarks[which])
    with pytest.raises(UserError, match=rf"the {('face', 'exemplar')[which]}'s landmarks: some points are not finite"):
        mls_grid(*landmarks, SIZE)
    landmarks[which] = draw(2)[:67]
    with pytest.raises(UserError, match=r"68 points \(x, y\) are needed, not an array of shape \(67, 2\)"):
        mls_grid(*landmarks, SIZE)
