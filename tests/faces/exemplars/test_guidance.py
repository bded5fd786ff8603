import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.exemplars.guidance import choose_optimal, point_mask, similarity


@pytest.fixture(scope="module")
def case(golden):
    return golden("asffnet")[0]


def test_published_similarity_and_choice(case):
    refs = case["ref_landmarks"]
    found = [similarity(case["lq_landmarks"], ref) for ref in refs]
    np.testing.assert_allclose(found, case["cal_sim"], rtol=1e-9)
    assert choose_optimal(case["lq_landmarks"], refs) == case["selected"]
    assert choose_optimal(case["lq_landmarks"], refs[::-1]) == 2 - case["selected"]


def test_affine_transforms_of_eyes_and_mouth_cost_nothing(case):
    lq = case["lq_landmarks"].astype(np.float64)
    ref = lq @ np.array([[0.7, 0.3], [-0.2, 1.1]]) + [50, -20]
    ref[48:] = lq[48:] * [2, 0.5]
    assert similarity(lq, ref) == pytest.approx(0, abs=1e-9)


def test_outline_and_nose_have_no_say(case):
    lq, ref = case["lq_landmarks"], case["ref_landmarks"][0].copy()
    before = similarity(lq, ref)
    ref[:17], ref[27:36] = 7, -3
    assert similarity(lq, ref) == before


def test_the_mouth_weighs_more(case):
    """A point off by 10 pixels in either part, in a direction that no affine transform takes away."""
    rng = np.random.default_rng(0)
    lq = rng.uniform(100, 400, (68, 2))
    errors = {}
    for part, at, weight in (("eyes", np.r_[17:27, 36:48], 1.01), ("mouth", np.r_[48:68], 1.49)):
        noise = rng.standard_normal((len(at), 2))
        design = np.column_stack([lq[at], np.ones(len(at))])
        noise -= design @ np.linalg.pinv(design) @ noise
        changed = lq.copy()
        changed[at] += noise
        errors[part] = similarity(changed, lq) / np.linalg.norm(noise)
        assert errors[part] == pytest.approx(weight)


def test_the_first_of_equals_is_chosen(case):
    lq, (first, second, _) = case["lq_landmarks"], case["ref_landmarks"]
    best = min(first, second, key=lambda ref: similarity(lq, ref))
    assert choose_optimal(lq, [first, second, best, best]) == (0 if best is first else 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("part", "name"), [(np.r_[17:27, 36:48], "eyes"), (np.r_[48:68], "mouth")])
@pytest.mark.parametrize(
    "flat",
    [lambda x: x * [1, 0] + [0, 201.3], lambda x: np.stack([x[:, 0], 0.31 * x[:, 0] + 7], axis=1), lambda x: 0 * x + 3],
    ids=["level", "sloping", "one point"],
)
def test_degenerate_exemplars(case, part, name, flat, dtype):
    ref = case["ref_landmarks"][0].astype(np.float64)
    ref[part] = flat(ref[part])
    with pytest.raises(UserError, match=f"degenerate: all points of its {name} lie on one line"):
        similarity(case["lq_landmarks"], ref.astype(dtype))


def test_almost_flat_is_not_degenerate(case):
    ref = case["ref_landmarks"][0].astype(np.float64)
    ref[48:] = ref[48:] * [1, 0.02]
    assert np.isfinite(similarity(case["lq_landmarks"], ref))


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.zeros((5, 2)), r"68 points \(x, y\) are needed, not an array of shape \(5, 2\)"),
        (np.zeros((68, 3)), r"not an array of shape \(68, 3\)"),
        (np.full((68, 2), np.inf), "some points are not finite"),
    ],
)
def test_landmarks_that_cannot_be_used(case, landmarks, message):
    good = case["lq_landmarks"]
    for call in (
        lambda: similarity(landmarks, good),
        lambda: similarity(good, landmarks),
        lambda: choose_optimal(good, [good, landmarks]),
        lambda: point_mask(landmarks),
    ):
        with pytest.raises(UserError, match=message):
            call()


def test_no_exemplars(case):
    with pytest.raises(UserError, match="there are no exemplars"):
        choose_optimal(case["lq_landmarks"], [])


def test_published_point_mask(case):
    mask = point_mask(case["lq_landmarks"])
    assert mask.shape == (512, 512, 1)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(np.packbits(mask.astype(bool)), case["point_mask_packed"])


@pytest.mark.parametrize(
    ("x", "y", "rows", "columns"),
    [
        (100.5, 40.0, (37, 43), (97, 104)),  # a whole number has 6 pixels, another one 7
        (3.0, 508.5, (505, 512), (0, 6)),
        (509.9, 3.5, (0, 7), (506, 512)),
        (2.9, 40.0, None, None),  # its slice begins before the picture, and is empty
        (40.0, 1.5, None, None),
        (0.5, 40.0, None, None),
        (510.0, 40.0, None, None),
        (40.0, 510.5, None, None),
        (-7.0, 600.0, None, None),
    ],
)
def test_point_mask_near_the_border(x, y, rows, columns):
    landmarks = np.full((68, 2), -100.0)
    landmarks[:17] = 256  # the outline, which is not drawn
    landmarks[30] = x, y
    expected = np.zeros((512, 512, 1), np.float32)
    if rows:
        expected[slice(*rows), slice(*columns)] = 1
    np.testing.assert_array_equal(point_mask(landmarks), expected)


def test_point_mask_of_another_size():
    landmarks = np.full((68, 2), 250.0)
    landmarks[40] = 254.5, 9.0
    mask = point_mask(landmarks, 256)
    assert mask.shape == (256, 256, 1)
    assert mask.sum() == 36
    assert mask[247:253, 247:253].all()
    wide = point_mask(landmarks, (256, 320))
    np.testing.assert_array_equal(wide[20:, :256], mask[20:])
    assert wide.shape == (256, 320, 1)
    assert wide[6:12, 251:258].all()  # the point that is too close to the border of the smaller one
    assert point_mask(landmarks, (320, 256)).shape == (320, 256, 1)
