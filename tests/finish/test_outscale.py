"""Any scale, beside Pillow's own resizing of the whole picture, and beside averages on paper."""

import numpy as np
import pytest
from PIL import Image

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.finish import outscale
from metaf2n_tf.finish.finishing import Finishing

RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 65536, (4 * 31, 4 * 43, 3), np.uint16)


def by_pillow(levels, size):
    planes = [Image.fromarray(levels[..., c].astype(np.float32)) for c in range(levels.shape[2])]
    top = np.iinfo(levels.dtype).max
    return np.dstack([plane.resize(size[::-1], Image.Resampling.LANCZOS) for plane in planes]).clip(0, top)


@pytest.mark.parametrize("scale", [0.7, 1.5, 2.5, 3, 3.999, 4.4, 6, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strips_are_the_whole_resized(monkeypatch, scale, dtype):
    """And no seam: each strip sees as much of its neighbours as the kernel needs."""
    monkeypatch.setattr(outscale, "_STRIP", 700)
    levels = (NOISE >> (16 - 8 * np.dtype(dtype).itemsize)).astype(dtype)
    resized = outscale.resize(levels, scale)
    assert (resized.dtype, resized.shape) == (dtype, (*outscale.result_size((31, 43), scale), 3))
    off = np.abs(resized - by_pillow(levels, resized.shape[:2]))
    assert off.max() <= (0.51 if dtype == np.uint8 else 1.5)  # coordinates of a strip are rounded to float32 in C


@pytest.mark.parametrize(("scale", "factor"), [(2, 2), (1, 4), (0.8, 5), (0.5, 8)])
def test_whole_factors_average_areas(scale, factor):
    levels = NOISE[: 40 * 3, : 40 * 4]
    means = levels.reshape(120 // factor, factor, 160 // factor, factor, 3).mean((1, 3))
    assert np.abs(outscale.resize(levels, scale) - means).max() <= 0.51


def test_nothing_is_done_at_4():
    assert outscale.resize(NOISE, 4.0) is NOISE


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((5, 7), 2.5, (12, 18)),  # 12.5 and 17.5: to the even number
        ((1, 1), 0.5, (1, 1)),
        ((3, 5), 0.5, (2, 2)),
        ((100, 33), 1.1, (110, 36)),
        ((9, 9), 8, (72, 72)),
    ],
)
def test_sizes_are_exact(size, scale, expected):
    assert outscale.result_size(size, scale) == expected
    levels = NOISE[: 4 * size[0], : 4 * size[1], 0] if max(size) < 31 else np.zeros((400, 132), np.uint8)
    assert outscale.resize(levels, scale).shape == expected


@pytest.mark.parametrize("scale", [0.5, 0.8, 1, 1.5, 2, 2.5, 3.3, 4.4, 6, 8])
def test_nothing_moves(scale):
    """A slope stays the same function of the place: the centre of pixel x lies at (x + 0.5) / scale LQ pixels."""
    height, width = 40, 60

    def slope(pixels, of):
        return (np.arange(pixels) + 0.5) / of * 500 + 5000

    levels = np.rint(slope(4 * height, 4)[:, None] + slope(4 * width, 4)[None]).astype(np.uint16)
    resized = outscale.resize(levels, scale)
    expected = slope(round(scale * height), scale)[:, None] + slope(round(scale * width), scale)[None]
    inner = slice(round(4 * scale), round(-4 * scale))
    assert np.abs(resized[inner, inner] - expected[inner, inner]).max() < 5  # a hundredth of an LQ pixel


def test_a_disc_stays_round_and_in_its_place():
    y, x = np.mgrid[:160, :160] + 0.5
    disc = np.where((y - 70) ** 2 + (x - 90) ** 2 < 40**2, 255, 0).astype(np.uint8)
    for scale in (0.5, 1.3, 2, 2.5, 5, 8):
        mass = outscale.resize(disc, scale) / 255
        y, x = np.mgrid[: mass.shape[0], : mass.shape[1]] + 0.5
        centre = [(mass * axis).sum() / mass.sum() * 4 / scale for axis in (y, x)]
        np.testing.assert_allclose(centre, [70, 90], atol=0.05)
        np.testing.assert_allclose(mass.sum() * (4 / scale) ** 2, np.pi * 40**2, rtol=0.005)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0, -1, 0.49, 8.01, 1e30])
def test_other_scales_are_refused(scale):
    with pytest.raises(UserError, match=r"^outscale=\S+: from 0.5 to 8$"):
        outscale.check(scale)


@pytest.mark.parametrize("scale", [0.5, 2.5, 4, 6])
def test_alpha_goes_with_the_colours(scale):
    alpha = np.zeros((30, 20), np.float32)
    alpha[10:20, 5:15] = 1
    photo = images.Photo(np.zeros((30, 20, 3), np.float32), alpha, depth=16)
    finishing = Finishing(outscale=scale)
    found = finishing.alpha(photo)
    assert (found.dtype, found.shape) == (np.uint16, outscale.result_size((30, 20), scale))
    assert finishing(np.zeros((120, 80, 3), np.uint16), photo).shape[:2] == found.shape
    np.testing.assert_allclose(found.mean() / 65535, 100 / 600, atol=0.002)
    assert finishing.alpha(images.Photo(photo.rgb)) is None
