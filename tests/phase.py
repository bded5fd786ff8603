"""How far one picture lies off another, to fractions of a pixel."""

import cv2
import numpy as np


def displacement(first, second, highest=0.08):
    """Pixels (x, y) by which the first picture lies right and below the second.

    The slope of the phase between two uint8 (H, W, 3) pictures of one size, over their frequencies up to `highest`
    cycles a pixel, where both still have something in common.
    """
    window = cv2.createHanningWindow(first.shape[1::-1], cv2.CV_64F)

    def spectrum(picture):
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
        return np.fft.fft2(window * (gray - gray.mean()))

    cross = spectrum(first) * spectrum(second).conj()
    y, x = np.meshgrid(*map(np.fft.fftfreq, first.shape[:2]), indexing="ij")
    low = np.hypot(x, y) < highest
    weight = np.sqrt(np.abs(cross[low]))
    slopes = 2 * np.pi * np.stack([x[low], y[low]], axis=1)
    return -np.linalg.lstsq(slopes * weight[:, None], np.angle(cross[low]) * weight, rcond=None)[0]
