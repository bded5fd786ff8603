"""PSNR on luma, as MATLAB and BasicSR compute it (`basicsr/metrics/psnr_ssim.py`)."""

from collections.abc import Callable

import numpy as np

_RGB_TO_Y_255 = np.array([65.481, 128.553, 24.966])  # ITU-R BT.601, studio range
_RGB_TO_Y = _RGB_TO_Y_255 / 255.0
_BGR_TO_Y_255 = np.ascontiguousarray(_RGB_TO_Y_255[::-1])
_ROWS_AT_ONCE = 128
_PUBLISHED_EQUAL = 1e-10  # mean squared error on [0, 1] below which the published number is 100


def luma(rgb: np.ndarray) -> np.ndarray:
    """float64 (H, W) Y in [16, 235], not rounded, of uint8 (H, W, 3) RGB."""
    return rgb @ _RGB_TO_Y + 16.0


def check_sizes(first: np.ndarray, second: np.ndarray) -> None:
    """Raise a ValueError for pictures that cannot be compared."""
    if first.shape != second.shape:
        sizes = " and ".join(f"{shape[1]}x{shape[0]}" for shape in (first.shape, second.shape))
        raise ValueError(f"sizes differ: {sizes}")


def _mean_square(to_y: Callable[[np.ndarray], np.ndarray], first: np.ndarray, second: np.ndarray) -> float:
    """Mean of the squared differences of Y, a few rows at a time, so that large pictures need little memory."""
    check_sizes(first, second)
    total = 0.0
    for start in range(0, len(first), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        total += np.sum((to_y(first[rows]) - to_y(second[rows])) ** 2)
    return float(total / (first.shape[0] * first.shape[1]))


def psnr_y(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR in dB on Y of two uint8 (H, W, 3) RGB pictures; inf where they are equal.

    Raises:
      ValueError: the sizes differ.
    """
    error = _mean_square(luma, first, second)
    return float("inf") if error == 0 else float(20 * np.log10(255.0) - 10 * np.log10(error))


def psnr_y_published(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR in dB as MetaF2N's `calculate_metrics.py` prints it, of two uint8 (H, W, 3) RGB pictures.

    It gives red the weight of blue and blue that of red, because its formula is for BGR; it rounds Y to whole levels,
    and gives 100 for (almost) equal pictures. `psnr_y` is up to several dB away where the channels' errors differ.

    Raises:
      ValueError: the sizes differ.
    """
    # np.dot, as published: where Y lies half way between two levels, the last bit of the product decides.
    error = _mean_square(lambda rgb: np.rint(np.dot(rgb, _BGR_TO_Y_255) / 255.0 + 16.0) / 255.0, first, second)
    return 100.0 if error < _PUBLISHED_EQUAL else float(-10 * np.log10(error))
