"""SSIM on luma (Wang et al., 2004; `basicsr/metrics/psnr_ssim.py`): 11x11 Gaussian window, sigma 1.5, valid region."""

import cv2
import numpy as np

from metaf2n_tf.metrics.psnr import check_sizes, luma

_WINDOW, _SIGMA = 11, 1.5
_BORDER = _WINDOW // 2
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_ROWS_AT_ONCE = 128


def _local_mean(picture: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA)
    return cv2.sepFilter2D(picture, cv2.CV_64F, kernel, kernel)[_BORDER:-_BORDER, _BORDER:-_BORDER]


def _map(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x, variance_y = _local_mean(x * x) - mean_x**2, _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return numerator / ((mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2))


def ssim_y(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM on Y of two uint8 (H, W, 3) RGB pictures with sides of at least 11 pixels; a few rows are held at a time.

    Raises:
      ValueError: the sizes differ, or a side is too short.
    """
    check_sizes(first, second)
    height, width = first.shape[:2]
    if min(height, width) < _WINDOW:
        raise ValueError(f"{width}x{height} pixels: SSIM needs sides of {_WINDOW}")
    total = 0.0
    for start in range(0, height - _WINDOW + 1, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE + _WINDOW - 1)
        total += _map(luma(first[rows]), luma(second[rows])).sum()
    return float(total / ((height - _WINDOW + 1) * (width - _WINDOW + 1)))
