"""SSIM on luma (Wang et al., 2004; `basicsr/metrics/psnr_ssim.py`): 11x11 Gaussian window, sigma 1.5, valid region."""

import cv2
import numpy as np

from metaf2n_tf.metrics.psnr import luma

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def _local_mean(picture: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA)
    border = _WINDOW // 2
    return cv2.sepFilter2D(picture, cv2.CV_64F, kernel, kernel)[border:-border, border:-border]


def ssim_y(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM on Y of two uint8 (H, W, 3) RGB pictures with sides of at least 11 pixels.

    Raises:
      ValueError: the sizes differ, or a side is too short.
    """
    if first.shape != second.shape or min(first.shape[:2]) < _WINDOW:
        raise ValueError(f"sizes differ or are below {_WINDOW}: {first.shape} and {second.shape}")
    x, y = luma(first), luma(second)
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x, variance_y = _local_mean(x * x) - mean_x**2, _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float(np.mean(numerator / ((mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2))))
