import numpy as np
import pytest

from metaf2n_tf.faces import align


@pytest.mark.parametrize("size", [512, 256])
def test_reference_points(golden, size):
    _, meta = golden("face_align")
    np.testing.assert_allclose(align.reference_points(size), meta[f"reference_{size}"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_published_transforms_and_crops(golden, index):
    case, meta = golden("face_align")
    landmarks = np.float32(meta["landmarks"][index]["landmarks_xy"]).T
    forward, inverse = align.fit_face(landmarks, 512)
    for ours, name in ((forward, "forward"), (inverse, "inverse")):
        np.testing.assert_allclose(ours[:, :2], case[f"{name}_{index}"][:, :2], rtol=0, atol=1e-5)
        np.testing.assert_allclose(ours[:, 2], case[f"{name}_{index}"][:, 2], rtol=0, atol=1e-3)
    crop = align.warp_to_squares(case["image"], [forward], 512)[0, ::8, ::8]
    difference = np.abs(crop.astype(int) - case[f"crop{index}_every8"])
    assert difference.mean() <= 0.3
    assert difference.max() <= 6


def test_registered_crop_lies_on_the_lq_grid():
    """A linear ramp tells the position of every pixel: the mean of HQ pixels 4x..4x+3 is LQ pixel x."""
    ramp = np.repeat(np.arange(160, dtype=np.uint8)[None, :, None], 160, axis=0).repeat(3, axis=2)
    landmarks = np.float32([[50, 60], [100, 60], [75, 90], [55, 110], [95, 110]])
    forward, inverse = align.fit_face(landmarks, 512)
    (square,) = align.warp_to_squares(ramp, [forward], 512)
    crop = slice(60, 100)

    def offset(hq):
        return np.mean(hq.astype(float).reshape(40, 4, 40, 4, 3).mean(axis=(1, 3)) - ramp[crop, crop])

    canvas = align.published_canvas_x4(square, inverse, (160, 160))
    assert abs(offset(align.paste_x4(square, inverse, ramp[crop, crop], (60, 60)))) < 0.1
    assert offset(canvas[240:400, 240:400]) == pytest.approx(1.5 / 4, abs=0.1)


def test_where_the_square_does_not_reach_the_photo_itself_is_enlarged():
    photo = np.full((100, 100, 3), 200, np.uint8)
    _, inverse = align.fit_face(np.float32([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]]), 512)
    square = np.full((512, 512, 3), 50, np.uint8)
    hq = align.paste_x4(square, inverse, photo, (0, 0))
    assert (hq.min(), hq.max()) == (50, 200)
    assert (hq[60, 60, 0], hq[390, 390, 0]) == (50, 200)
    assert np.mean((hq > 50) & (hq < 200)) < 0.01  # the seam


def test_a_face_at_the_border_is_not_shaded():
    photo = np.full((60, 60, 3), 200, np.uint8)
    forward, inverse = align.fit_face(np.float32([[5, 20], [35, 20], [20, 35], [8, 50], [32, 50]]), 512)
    (published,) = align.warp_to_squares(photo, [forward], 512)
    (ours,) = align.warp_to_squares(photo, [forward], 512, rim=1)
    assert np.all(align.paste_x4(ours, inverse, photo, (0, 0)) >= 199)
    assert np.any(align.paste_x4(published, inverse, photo, (0, 0)) < 180)
    inside = (published == 200) & (ours == 200)
    np.testing.assert_array_equal(published[inside], ours[inside])


def test_collinear_landmarks_are_fitted_and_a_single_point_is_refused():
    line = np.float32([[10, 10], [20, 20], [30, 30], [40, 40], [50, 50]])
    matrix, scale = align.fit_similarity(line, 2 * line)
    assert scale == pytest.approx(2, rel=1e-5)
    np.testing.assert_allclose(matrix @ [30, 30, 1], [60, 60], rtol=1e-5)
    with pytest.raises(ValueError, match="all one point"):
        align.fit_similarity(np.ones((5, 2), np.float32), line)


def test_landmarks_on_one_pixel_cannot_be_fitted():
    assert not align.can_fit(np.float32([[3.1, 4.2], [3.9, 4.8], [3.5, 4.5], [3.2, 4.9], [3.7, 4.1]]))
    assert align.can_fit(np.float32([[3, 4], [5, 4], [4, 5], [3, 6], [5, 6]]))
