"""PSNR on luma, as MATLAB and BasicSR compute it (`basicsr/metrics/psnr_ssim.py`)."""

import numpy as np

_RGB_TO_Y = np.array([65.481, 128.553, 24.966]) / 255.0  # ITU-R BT.601, studio range


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
