import numpy as np
import pytest

from metaf2n_tf.metrics.psnr import psnr_y, psnr_y_published
from metaf2n_tf.metrics.ssim import ssim_y


@pytest.mark.parametrize("pair", [0, 1, 2])
def test_basicsr_values(golden, pair):
    case, meta = golden("psnr_ssim_y")
    expected = meta["cases"][pair]
    first, second = case[expected["a"]], case[expected["b"]]
    assert psnr_y(first, second) == pytest.approx(expected["psnr_y_basicsr"], abs=1e-3)
    assert ssim_y(first, second) == pytest.approx(expected["ssim_y_basicsr"], abs=1e-5)


def test_equal_pictures():
    picture = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    assert psnr_y(picture, picture) == float("inf")
    assert psnr_y_published(picture, picture) == 100.0
    assert ssim_y(picture, picture) == pytest.approx(1.0)


@pytest.mark.parametrize("pair", [0, 1, 2])
def test_published_psnr(golden, pair):
    case, meta = golden("psnr_ssim_y")
    expected = meta["cases"][pair]
    found = psnr_y_published(case[expected["a"]], case[expected["b"]])
    assert found == pytest.approx(expected["psnr_y_calculate_metrics"], abs=1e-9)


def test_published_psnr_of_almost_equal_pictures():
    first = np.full((400, 400, 3), 100, np.uint8)
    second = first.copy()
    second[0, 0] += 1  # Y by 0.86, one level when rounded
    assert psnr_y_published(first, second) == 100.0
    second[0, 1] += 2
    assert psnr_y_published(first, second) == pytest.approx(10 * np.log10(160000 * 255**2 / 5), abs=1e-9)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="sizes differ"):
        psnr_y(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="sizes differ"):
        psnr_y_published(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="8x8 pixels: SSIM needs sides of 11"):
        ssim_y(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))
