"""Colours of the photo for its result: SR networks, like face restorers, tint what they draw."""

from collections.abc import Callable

import cv2
import numpy as np

from metaf2n_tf.finish.strips import strips
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.tiles import times_scale

SIGMA = 8.0  # LQ pixels, of the Gaussian blur; docs/metrics.md says what others give


def lowpass(levels: np.ndarray, rgb: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    """Give a result the low frequencies of its photo: result + upsample(blur(photo - downsample(result))).

    Downsampling is the mean of 4 x 4 pixels, upsampling is bilinear; both keep the centres of pixels where they are.
    Borders are reflected.

    Args:
      levels: uint8 or uint16 (4H, 4W, 3) RGB.
      rgb: float32 (H, W, 3) in [0, 1].
      sigma: of the Gaussian blur, LQ pixels.

    Returns:
      New levels.
    """
    height, width = rgb.shape[:2]
    top = np.iinfo(levels.dtype).max
    change = np.empty_like(rgb)
    for _, rows, _ in strips((height, width)):
        strip = levels[times_scale(rows)].astype(np.float32)
        size = (width, rows.stop - rows.start)
        change[rows] = rgb[rows] * np.float32(top) - cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    change = cv2.GaussianBlur(change, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    fixed = np.empty_like(levels)
    for window, rows, kept in strips((height, width), pad=1):
        size = (SCALE * width, SCALE * (window.stop - window.start))
        added = cv2.resize(change[window], size, interpolation=cv2.INTER_LINEAR)[times_scale(kept)]
        added += levels[times_scale(rows)]
        fixed[times_scale(rows)] = np.rint(np.clip(added, 0, top))
    return fixed


# x4 levels, and the photo's rgb, in; levels out.
FIXES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "none": lambda levels, _: levels,
    "lowpass": lowpass,
}
