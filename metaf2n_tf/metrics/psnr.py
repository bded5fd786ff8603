"""PSNR on luma, as MATLAB and BasicSR compute it (`basicsr/metrics/psnr_ssim.py`)."""

import numpy as np

_RGB_TO_Y_255 = np.array([65.481, 128.553, 24.966])  # ITU-R BT.601, studio range
_RGB_TO_Y = _RGB_TO_Y_255 / 255.0
_PUBLISHED_EQUAL = 1e-10  # mean squared error on [0, 1] below which the published number is 100


def luma(rgb: np.ndarray) -> np.ndarray:
    """float64 (H, W) Y in [16, 235], not rounded, of uint8 (H, W, 3) RGB."""
    return rgb.astype(np.float64) @ _RGB_TO_Y + 16.0


def psnr_y(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR in dB on Y of two uint8 (H, W, 3) RGB pictures; inf where they are equal.

    Raises:
      ValueError: the sizes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"sizes differ: {first.shape} and {second.shape}")
    error = np.mean((luma(first) - luma(second)) ** 2)
    return float("inf") if error == 0 else float(20 * np.log10(255.0) - 10 * np.log10(error))


def psnr_y_published(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR in dB as MetaF2N's `calculate_metrics.py` prints it, of two uint8 (H, W, 3) RGB pictures.

    It gives red the weight of blue and blue that of red, because its formula is for BGR; it rounds Y to whole levels,
    and gives 100 for (almost) equal pictures. `psnr_y` is up to several dB away where the channels' errors differ.

    Raises:
      ValueError: the sizes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"sizes differ: {first.shape} and {second.shape}")
    x, y = (np.rint(rgb.astype(np.float64) @ _RGB_TO_Y_255[::-1] / 255.0 + 16.0) / 255.0 for rgb in (first, second))
    error = np.mean((x - y) ** 2)
    return 100.0 if error < _PUBLISHED_EQUAL else float(-10 * np.log10(error))
