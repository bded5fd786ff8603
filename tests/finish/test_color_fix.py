"""The low frequencies of the photo in its result, beside SciPy's filters."""

import numpy as np
import pytest
from scipy import ndimage

from metaf2n_tf.finish import strips
from metaf2n_tf.finish.color_fix import lowpass


def enlarge_axis(values, axis):
    """Bilinear x4: the centre of pixel x lies at 4x + 1.5; beyond the outermost centres the border is repeated."""
    length = values.shape[axis]
    places = (np.arange(4 * length) + 0.5) / 4 - 0.5
    return np.apply_along_axis(lambda line: np.interp(places, np.arange(length), line), axis, values)


def fixed_by_scipy(levels, rgb, sigma):
    height, width = rgb.shape[:2]
    top = np.iinfo(levels.dtype).max
    reduced = levels.reshape(height, 4, width, 4, 3).mean(axis=(1, 3))
    change = ndimage.gaussian_filter(rgb * float(top) - reduced, (sigma, sigma, 0), mode="reflect")
    return np.clip(levels + enlarge_axis(enlarge_axis(change, 0), 1), 0, top)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (37, 50)])
def test_as_with_scipy_in_strips_or_not(size, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    rgb = rng.random((*size, 3), dtype=np.float32)
    levels = rng.integers(0, np.iinfo(dtype).max, (4 * size[0], 4 * size[1], 3), dtype=dtype, endpoint=True)
    fixed = lowpass(levels, rgb, 2.0)
    assert fixed.dtype == dtype
    apart = 0.51 if dtype == np.uint8 else 1.0  # rounding, and float32
    np.testing.assert_allclose(fixed, fixed_by_scipy(levels, rgb, 2.0), atol=apart)
    monkeypatch.setattr(strips, "_PIXELS", 3 * size[1])
    np.testing.assert_array_equal(lowpass(levels, rgb, 2.0), fixed)


def test_a_tint_goes_to_the_very_border():
    photo = np.full((6, 7, 3), (0.2, 0.4, 0.6), np.float32)
    tinted = np.full((24, 28, 3), (60, 90, 170), np.uint8)
    assert (lowpass(tinted, photo) == (51, 102, 153)).all()


def test_what_has_the_photos_colours_stays():
    rgb = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    levels = rgb.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(lowpass(levels, rgb / np.float32(255)), levels)


def test_noise_and_jpeg_blocks_do_not_come_back():
    rng = np.random.default_rng(0)
    clean = np.full((512, 512, 3), 128, np.uint8)
    noise = rng.normal(0, 25, (128, 128, 3))
    blocks = rng.normal(0, 5, (16, 16, 3)).repeat(8, axis=0).repeat(8, axis=1)
    noisy, blocky = (lowpass(clean, ((128 + added) / 255).astype(np.float32)) - 128.0 for added in (noise, blocks))
    assert noisy.std() < 2  # levels, of 25
    assert np.abs(blocky[31:-1:32] - blocky[32::32]).mean() < 0.2  # of 5.6
