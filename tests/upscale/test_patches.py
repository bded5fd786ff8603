import numpy as np
import pytest

from metaf2n_tf.upscale.patches import hold_out, sample_patches, used_whole


def face(height, width, offset=0):
    """LQ pixels tell their position; every HQ pixel repeats its LQ pixel."""
    y, x = np.mgrid[:height, :width]
    lq = np.dstack([y, x, np.full_like(x, offset)]).astype(np.uint8)
    return lq, lq.repeat(4, axis=0).repeat(4, axis=1)


def draw(pairs, patch_size=64, count=16, seed=0):
    return sample_patches(pairs, patch_size, count, np.random.default_rng(seed))


def test_patches_are_registered_and_scaled():
    lq, hq = draw([face(40, 30)])
    assert (lq.shape, hq.shape, lq.dtype) == ((16, 16, 16, 3), (16, 64, 64, 3), np.float32)
    np.testing.assert_array_equal(hq[:, ::4, ::4], lq)
    np.testing.assert_array_equal(lq, (np.round(lq * 255) / 255.0).astype(np.float32))


def test_every_position_is_reached():
    lq, _ = draw([face(18, 17)], count=300)
    corners = {tuple(np.round(patch[0, 0, :2] * 255).astype(int)) for patch in lq}
    assert corners == {(y, x) for y in range(3) for x in range(2)}


def test_all_faces_count_and_small_ones_are_left_out():
    lq, _ = draw([face(10, 40, 1), face(20, 20, 2), face(16, 16, 3), face(30, 18, 4)], count=5)
    assert np.round(lq[:, 0, 0, 2] * 255).tolist() == [2] * 5 + [4] * 5


def test_a_photo_with_small_faces_only_uses_the_first_whole():
    lq, hq = draw([face(16, 30, 1), face(9, 9, 2)])
    assert (lq.shape, hq.shape) == ((1, 16, 30, 3), (1, 64, 120, 3))
    np.testing.assert_array_equal(lq[0] * 255, face(16, 30, 1)[0])
    assert used_whole([face(16, 30), face(9, 9)], 64)
    assert not used_whole([face(16, 30), face(17, 17)], 64)
    assert not used_whole([], 64)


def test_no_faces_no_patches():
    lq, hq = draw([])
    assert (len(lq), len(hq)) == (0, 0)


def test_the_seed_decides():
    pairs = [face(60, 50)]
    np.testing.assert_array_equal(draw(pairs, seed=4)[0], draw(pairs, seed=4)[0])
    assert not np.array_equal(draw(pairs, seed=4)[0], draw(pairs, seed=5)[0])


@pytest.mark.parametrize(("count", "held_out"), [(0, 0), (1, 0), (2, 1), (7, 1), (8, 2), (16, 4), (35, 8)])
def test_a_quarter_is_held_out_by_the_seed(count, held_out):
    numbers = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1)
    kept, judges = hold_out(numbers, numbers + 100, np.random.default_rng(3))
    again = hold_out(numbers, numbers + 100, np.random.default_rng(3))
    assert len(judges[0]) == held_out
    assert sorted([*kept[0].ravel(), *judges[0].ravel()]) == list(range(count))
    for lq, hq in (kept, judges):
        np.testing.assert_array_equal(lq + 100, hq)
    np.testing.assert_array_equal(again[1][0], judges[0])
    if count == 35:
        other = hold_out(numbers, numbers, np.random.default_rng(4))
        assert not np.array_equal(other[1][0], judges[0])
