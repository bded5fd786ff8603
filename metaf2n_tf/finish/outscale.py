"""Any scale: the x4 picture reduced or enlarged to the one asked for, as Real-ESRGAN's `--outscale` does it.

In strips of rows, so that only a few of them are ever in floating point. Pixels are squares whose edges stay where they
are: nothing moves.
"""

import math

import cv2
import numpy as np
from PIL import Image

from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks.sr import SCALE

SMALLEST, LARGEST = 0.5, 8.0
_LOBES = 3  # of Pillow's Lanczos window, on either side
_STRIP = 1 << 22  # pixels of the x4 picture, about


def check(outscale: float) -> None:
    """Raise a UserError for a scale that is not offered."""
    if not SMALLEST <= outscale <= LARGEST:
        raise UserError(Argument("outscale", f"{outscale:g}"), f": from {SMALLEST:g} to {LARGEST:g}")


def result_size(size: tuple[int, int], outscale: float) -> tuple[int, int]:
    """(height, width) of the result of an LQ photo of that size: rounded, halves to the even number, at least 1."""
    height, width = (max(1, round(outscale * side)) for side in size)
    return height, width


def _lanczos(levels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lanczos over (H, W, C), its window widened where it reduces, so that nothing aliases."""
    ratio, top = levels.shape[0] / height, np.iinfo(levels.dtype).max
    seen = math.ceil(_LOBES * max(ratio, 1.0)) + 1
    rows = max(1, int(_STRIP / (levels.shape[1] * ratio)))
    result = np.empty((height, width, levels.shape[2]), levels.dtype)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        first = max(0, math.floor(start * ratio) - seen)
        strip = levels[first : math.ceil(stop * ratio) + seen]
        box = (0, start * ratio - first, strip.shape[1], min(stop * ratio - first, strip.shape[0]))
        for channel in range(levels.shape[2]):
            plane = Image.fromarray(strip[..., channel].astype(np.float32))
            resized = np.asarray(plane.resize((width, stop - start), Image.Resampling.LANCZOS, box))
            result[start:stop, :, channel] = np.rint(resized.clip(0, top))
    return result


def resize(levels: np.ndarray, outscale: float) -> np.ndarray:
    """Bring a x4 picture to another scale: areas are averaged where 4 / outscale is whole, else Lanczos.

    Args:
      levels: uint8 or uint16 (4H, 4W) or (4H, 4W, C).
      outscale: pixels a side of the result for one of the LQ photo.

    Returns:
      The same dtype and channels, of `result_size`; at 4 the picture itself.
    """
    if outscale == SCALE:
        return levels
    height, width = result_size((levels.shape[0] // SCALE, levels.shape[1] // SCALE), outscale)
    if (SCALE / outscale).is_integer():
        return cv2.resize(levels, (width, height), interpolation=cv2.INTER_AREA)
    planes = levels.reshape(*levels.shape[:2], -1)
    return _lanczos(planes, height, width).reshape(height, width, *levels.shape[2:])
