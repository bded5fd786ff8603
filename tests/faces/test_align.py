import numpy as np
import pytest

from metaf2n_tf.faces import align
from metaf2n_tf.faces.cut import cut_pair, face_slices
from metaf2n_tf.faces.detect import Face


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
    crop = align.warp_to_square(case["image"], forward, 512)[::8, ::8]
    difference = np.abs(crop.astype(int) - case[f"crop{index}_every8"])
    assert difference.mean() <= 0.3
    assert difference.max() <= 6


def faces(meta):
    return [
        (
            box,
            Face(
                index,
                tuple(box["box"][:4]),
                box["box"][4],
                np.float32(meta["landmarks"][box["landmarks"]]["landmarks_xy"]).T,
            ),
        )
        for index, box in enumerate(meta["boxes"])
        if box["written"]
    ]


def test_published_rectangles_and_hq_crops(golden):
    case, meta = golden("face_align")
    photo = case["image"]
    for box, face in faces(meta):
        forward, inverse = align.fit_face(face.landmarks, 512)
        square = align.warp_to_square(photo, forward, 512)
        canvas = align.warp_back_x4(square, inverse, photo.shape[:2], registered=False)
        lq, hq = cut_pair(photo, canvas, face)
        assert face_slices(face, photo.shape[:2]) == (slice(*box["lq_rows"]), slice(*box["lq_cols"]))
        assert (list(lq.shape), list(hq.shape)) == (box["lq_shape"], box["hq_shape"])
        difference = np.abs(hq[::8, ::8].astype(int) - case[f"face_hq{box['file_suffix']}_every8"])
        assert difference.mean() <= 0.3
        assert difference.max() <= 6


def test_registered_crop_lies_on_the_lq_grid():
    """A linear ramp tells the position of every pixel: the mean of HQ pixels 4x..4x+3 is LQ pixel x."""
    ramp = np.repeat(np.arange(160, dtype=np.uint8)[None, :, None], 160, axis=0).repeat(3, axis=2)
    landmarks = np.float32([[50, 60], [100, 60], [75, 90], [55, 110], [95, 110]])
    forward, inverse = align.fit_face(landmarks, 512)
    square = align.warp_to_square(ramp, forward, 512)
    inner = slice(60, 100)

    def offset(registered):
        canvas = align.warp_back_x4(square, inverse, (160, 160), registered).astype(float)
        blocks = canvas.reshape(160, 4, 160, 4, 3).mean(axis=(1, 3))
        return np.mean(blocks[inner, inner] - ramp[inner, inner])

    assert abs(offset(True)) < 0.1
    assert offset(False) == pytest.approx(1.5 / 4, abs=0.1)


def test_collinear_landmarks_are_fitted_and_a_single_point_is_refused():
    line = np.float32([[10, 10], [20, 20], [30, 30], [40, 40], [50, 50]])
    matrix, scale = align.fit_similarity(line, 2 * line)
    assert scale == pytest.approx(2, rel=1e-5)
    np.testing.assert_allclose(matrix @ [30, 30, 1], [60, 60], rtol=1e-5)
    with pytest.raises(ValueError, match="all one point"):
        align.fit_similarity(np.ones((5, 2), np.float32), line)


def test_boxes_at_and_beyond_the_border():
    face = Face(0, (-7.9, 150.2, 500.0, 158.0), 0.95, np.zeros((5, 2), np.float32))
    assert face_slices(face, (160, 120)) == (slice(150, 159), slice(0, 120))
    outside = Face(0, (130.0, 10.0, 140.0, 20.0), 0.95, np.zeros((5, 2), np.float32))
    rows, cols = face_slices(outside, (160, 120))
    assert cols.stop - cols.start <= 0 < rows.stop - rows.start
