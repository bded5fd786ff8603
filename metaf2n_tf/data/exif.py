"""EXIF: what a photo's says of it, apart from how its pixels lie, and the same for a result."""

import logging
import struct
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

logger = logging.getLogger(__name__)

Density = tuple[float, float]  # pixels an inch, across and down

_ORIENTATION = ExifTags.Base.Orientation
_INNER, _PLACE, _INTEROPERABILITY = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x011A, 0x011B, 0x0128
_INCH = 2  # of _UNIT
_FINEST = 100  # parts of a pixel an inch
_WIDTH, _HEIGHT = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight
# Of a TIFF's own tags, which EXIF shares, those that say how and when, by whom and with what the picture was taken.
_OF_TIFF = (
    "ImageDescription Make Model Software DateTime Artist HostComputer Copyright Rating RatingPercent XPTitle "
    "XPComment XPAuthor XPKeywords XPSubject"
)
_TOLD = {ExifTags.Base[name] for name in _OF_TIFF.split()}
_DAMAGES = (ValueError, TypeError, struct.error, KeyError, ZeroDivisionError)  # what Pillow makes of damaged tags


def _told(exif: Image.Exif) -> dict[int, Any]:
    """What of it a TIFF may hold beside the tags of its layout: values, and the tags of the directories in it."""
    told = {tag: value for tag, value in exif.items() if tag in _TOLD}
    for directory in (_INNER, _PLACE):
        if inner := exif.get_ifd(directory):
            told[directory] = {tag: value for tag, value in inner.items() if tag != _INTEROPERABILITY}
    return told


def _encode(exif: Image.Exif) -> bytes | None:
    return exif.tobytes() if len(exif) else None


def _load(content: bytes | None) -> Image.Exif:
    exif = Image.Exif()
    exif.load(content or b"")
    return exif


def read(image: Image.Image, path: Path) -> tuple[int, bytes | None]:
    """The orientation that a loaded picture's EXIF says, 1 where it says none; and the rest of it, encoded.

    Args:
      path: the picture's, to name it where its EXIF is damaged, and so left out.
    """
    exif = image.getexif()
    orientation = exif.pop(_ORIENTATION, 1)
    try:
        if image.format != "TIFF":
            return orientation, _encode(exif)
        of_tiff = Image.Exif()
        of_tiff.update(_told(exif))
        return orientation, _encode(of_tiff)
    except _DAMAGES as error:
        logger.warning(f"{path}: its EXIF is damaged ({error}) and is left out of the result")
        return orientation, None


def resolution_tags(density: Density) -> dict[int, Any]:
    """The tags that say it, in EXIF as in a TIFF."""
    across, down = (IFDRational(round(side * _FINEST), _FINEST) for side in density)
    return {_X_RESOLUTION: across, _Y_RESOLUTION: down, _UNIT: _INCH}


def of_result(content: bytes | None, size: tuple[int, int], density: Density | None) -> bytes | None:
    """A photo's EXIF, from `read`, as that of a result.

    Args:
      size: (height, width) of the result, where EXIF says one.
      density: of the result; None where it is not known.
    """
    exif = _load(content)
    if _INNER in exif:
        inner = exif.get_ifd(_INNER)
        inner |= {tag: side for tag, side in ((_HEIGHT, size[0]), (_WIDTH, size[1])) if tag in inner}
    if density:
        exif.update(resolution_tags(density))
    return _encode(exif)


def tags_of_tiff(content: bytes) -> dict[int, Any]:
    """The same, from `of_result`, as tags of a TIFF, with those of a directory in it as a dict."""
    return _told(_load(content))
