"""TIFF files of 8 or 16 bits a channel, deflated (TIFF 6.0, Adobe 1992, and its supplement of 2002).

Written here, as OpenCV's writer takes no profile and no EXIF, and Pillow's no colours of 16 bits.
"""

import io
import zlib
from typing import Any

import numpy as np
from PIL import TiffImagePlugin as pillow

from metaf2n_tf.data import exif
from metaf2n_tf.errors import UserError

_STRIP = 1 << 20  # bytes of pixels in a strip, about
_LONGEST = 2**32 - 1  # bytes, as places in a file have 4
_DEFLATE, _DIFFERENCES, _INTERLEAVED, _STRAIGHT_ALPHA, _INCH = 8, 2, 1, 2, 2
_BLACK_IS_ZERO, _RGB = 1, 2


def _differences(strip: np.ndarray) -> np.ndarray:
    """Each pixel of (H, W, C) less the one before it in its row, modulo the levels there are."""
    return np.concatenate([strip[:, :1], strip[:, 1:] - strip[:, :-1]], axis=1)


def encode(levels: np.ndarray, icc: bytes | None, told: bytes | None, density: exif.Density | None) -> bytes:
    """A TIFF.

    Args:
      levels: uint8 or uint16 (H, W, 1 to 4), the last of 2 or 4 alpha.
      icc: a profile of its colours.
      told: EXIF, from `exif.of_result`.
      density: its resolution.

    Raises:
      UserError: it would have more bytes than a TIFF can.
    """
    height, width, channels = levels.shape
    levels = levels.astype(levels.dtype.newbyteorder("<"), copy=False)
    rows = max(1, _STRIP // levels[0].nbytes)
    strips = [zlib.compress(_differences(levels[at : at + rows]).tobytes()) for at in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    tags: dict[int, Any] = {
        pillow.IMAGEWIDTH: width,
        pillow.IMAGELENGTH: height,
        pillow.BITSPERSAMPLE: (8 * levels.itemsize,) * channels,
        pillow.COMPRESSION: _DEFLATE,
        pillow.PHOTOMETRIC_INTERPRETATION: _BLACK_IS_ZERO if channels <= 2 else _RGB,
        pillow.STRIPOFFSETS: tuple(np.cumsum([0, *sizes[:-1]]).tolist()),  # from the end of the tags
        pillow.SAMPLESPERPIXEL: channels,
        pillow.ROWSPERSTRIP: rows,
        pillow.STRIPBYTECOUNTS: tuple(sizes),
        pillow.PLANAR_CONFIGURATION: _INTERLEAVED,
        pillow.PREDICTOR: _DIFFERENCES,
    }
    if channels in (2, 4):
        tags[pillow.EXTRASAMPLES] = _STRAIGHT_ALPHA
    if density:
        tags |= exif.resolution_tags(density)
    if icc:
        tags[pillow.ICCPROFILE] = icc
    directory = pillow.ImageFileDirectory_v2()
    for tag, value in ((exif.tags_of_tiff(told) if told else {}) | tags).items():
        directory[tag] = value
    stream = io.BytesIO()
    directory.save(stream)
    if stream.tell() + sum(sizes) > _LONGEST:
        raise UserError(f"a result of {width}x{height} pixels takes more bytes than TIFF files can have ({_LONGEST})")
    return b"".join([stream.getvalue(), *strips])
