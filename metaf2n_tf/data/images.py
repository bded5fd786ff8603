"""Pictures in any of the usual formats in; what a result takes over is kept: see `encoding.py` for the way out.

Pillow decodes (it reports truncated files, and JPEG pixels equal the published code's); OpenCV reads the 16-bit
pixels that Pillow would cut to 8. Whatever cannot be kept is said.
"""

import functools
import io
import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from metaf2n_tf.data import exif, files, png, profiles, size
from metaf2n_tf.errors import UserError

logger = logging.getLogger(__name__)

PICTURES = ("bmp", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp")
_EXIF_ORIENTATION = 0x0112
_TIFF_BITS_PER_SAMPLE = 0x0102
_TIFF_COMPRESSION = 0x0103
_TIFF_PHOTOMETRIC = 0x0106
_TIFF_X_RESOLUTION = 0x011A
_TIFF_PLANES = 0x011C
_TIFF_EXTRA_SAMPLES = 0x0152
_WHITE_IS_ZERO = 0
_IN_PLANES = 2
_PREMULTIPLIED = (1,)
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PNG_GRAY_ALPHA = 4
_RGB_TO_GRAY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
_FORMATS_OF_FRAMES = {"GIF", "PNG", "TIFF", "WEBP"}  # what else a JPEG of several pictures has is a preview
# Pixel bytes that a byte of a file holds at most: runs of 258 in 2 bits (deflate), strings of 4095 in 12 (LZW), an 8x8
# block in 1 (Huffman codes of JPEG), 128 in 16 (PackBits), a row in 1 (fax), 16x16 pixels in 1.6 (modes of VP8, the
# coarsest). Not known of other ways to store pictures.
_DEFLATE, _LZW, _JPEG, _PACKBITS, _VP8 = 1032, 2730, 512, 64, 1280
_HELD = {"PNG": _DEFLATE, "GIF": _LZW, "JPEG": _JPEG, "MPO": _JPEG, "PPM": 8}
_HELD_BY_TIFF = {1: 1, 5: _LZW, 7: _JPEG, 8: _DEFLATE, 32946: _DEFLATE, 32773: _PACKBITS}  # by compression
_TIFF_FAX = {2, 3, 4}

Image.MAX_IMAGE_PIXELS = None  # the limit is that of size.py
warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged metadata, in two lines that do not name the file


@dataclass(frozen=True)
class Photo:
    """A decoded picture.

    rgb: float32 (H, W, 3) in [0, 1]; alpha: float32 (H, W) in [0, 1] or None; depth: 8 or 16 bits a channel;
    gray: the file has one colour channel (then the three of `rgb` are equal); icc, exif: raw bytes or None;
    resolution: pixels a unit, or None; chunks: what else a result takes over; see `png.py`.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    depth: int = 8
    gray: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    resolution: png.Resolution | None = None
    chunks: tuple[png.Chunk, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.rgb.shape[:2]


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """A TIFF's; those of another picture are none."""
    return getattr(image, "tag_v2", {})


def _bits(image: Image.Image, head: bytes) -> int:
    if image.format == "PNG":
        return head[24]
    if image.format == "TIFF":
        return max(np.atleast_1d(_tags(image).get(_TIFF_BITS_PER_SAMPLE, 1)))
    return 8


@functools.cache
def _say_once(message: str) -> None:
    """A picture may be read several times."""
    logger.warning(message)


def _check_claim(path: Path, image: Image.Image, head: bytes, scale: float) -> None:
    """Raise a UserError for a picture above the limit, or one that its file is too small for, before it is decoded.

    So it does where only the result, of `scale` times the sides, would be above the limit.
    """
    size.check_size(image.height, image.width)
    size.check_result_size(round(scale * image.height), round(scale * image.width))
    held, bits = _HELD.get(image.format or ""), 8
    if image.format == "PNG":
        bits = head[24] * _PNG_CHANNELS[head[25]]
    if image.format == "WEBP" and head[12:16] == b"VP8 ":
        held = _VP8
    if image.format == "TIFF":
        compression, bits = _tags(image).get(_TIFF_COMPRESSION, 1), _bits(image, head)
        held = image.width if compression in _TIFF_FAX else _HELD_BY_TIFF.get(compression)
    pixels, file_bytes = image.width * image.height, path.stat().st_size
    if held and pixels * bits > 8 * held * file_bytes:
        raise UserError(f"its header says {image.width}x{image.height} pixels, too many for {file_bytes} bytes")


def _say_frames(path: Path) -> None:
    with Image.open(path) as image:
        if image.format not in _FORMATS_OF_FRAMES:
            return
        try:
            count = image.n_frames  # pyright: ignore[reportAttributeAccessIssue]: not in the base class's stub
        except Exception:  # as of any damaged file, but the first picture has been decoded
            _say_once(f"{path}: its first picture is used; what is behind it is damaged")
            return
    if count > 1:
        _say_once(f"{path}: the first of {count} pictures in it is used")


def _straight(pixels: np.ndarray) -> np.ndarray:
    """uint16 (H, W, C) whose colours are multiplied by the last, alpha, without that."""
    alpha = np.maximum(np.float64(pixels[..., -1:]), 1)
    pixels[..., :-1] = np.minimum(np.rint(pixels[..., :-1] * (65535 / alpha)), 65535)
    return pixels


def _decode_16bit(path: Path, image: Image.Image, head: bytes) -> np.ndarray:
    tags = _tags(image)
    if tags.get(_TIFF_PLANES) == _IN_PLANES and len(image.getbands()) > 1:  # which no decoder here gets right
        raise UserError("16 bits a channel, each channel on its own. Remedy: save it with the channels interleaved")
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise UserError("neither 8 nor 16 bits a channel")
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 65535 - pixels
    if pixels.ndim == 2:
        transparent = image.info.get("transparency")
        alpha = [] if transparent is None else [np.where(pixels == transparent, np.uint16(0), np.uint16(65535))]
        return np.dstack([pixels, *alpha])
    if image.format == "PNG" and head[25] == _PNG_GRAY_ALPHA:
        return pixels[..., [0, 3]]
    if pixels.shape[2] == 4 and image.mode == "RGB" and image.format == "TIFF":  # the fourth is said to be no alpha
        pixels = pixels[..., :3]
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return _straight(pixels) if tags.get(_TIFF_EXTRA_SAMPLES) == _PREMULTIPLIED else pixels


def _decode_8bit(path: Path, image: Image.Image, head: bytes) -> np.ndarray:
    if image.mode == "CMYK" and (icc := image.info.get("icc_profile")):
        converted = profiles.from_inks(image, icc) if profiles.space(icc) == "CMYK" else None
        if converted is None:
            _say_once(f"{path}: its profile is none of inks, or damaged, so its colours are rough")
        image = converted or image
    if image.format == "PNG" and image.mode == "L" and head[24] < 8 and "transparency" in image.info:
        image.info["transparency"] *= 255 // (2 ** head[24] - 1)  # as Pillow has scaled the pixels
    has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode.startswith(("I", "F")):
        raise UserError("neither 8 nor 16 bits a channel")
    mode = ("LA" if gray else "RGBA") if has_alpha else ("L" if gray else "RGB")
    if gray and has_alpha and image.mode not in ("LA", "La"):
        image = image.convert("RGBA")
    return np.atleast_3d(np.asarray(image.convert(mode)))


_ORIENT = {  # EXIF orientation -> what shows the stored pixels upright
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}
_ON_ITS_SIDE = {5, 6, 7, 8}


@dataclass(frozen=True)
class _Decoded:
    """A picture as its file holds it: upright uint8 or uint16 levels (H, W, 1 to 4), the last of 2 or 4 alpha."""

    levels: np.ndarray
    icc: bytes | None
    exif: bytes | None
    resolution: png.Resolution | None
    chunks: tuple[png.Chunk, ...]


def _fitting_profile(path: Path, icc: bytes | None, levels: np.ndarray) -> bytes | None:
    """The picture's profile; None, and why said, where it is not of the colours that its result has."""
    if not icc:
        return None
    becomes_gray = levels.shape[2] == 1 or (levels.shape[2] == 2 and levels.dtype == np.uint8)  # see encoding.py
    of, needed = profiles.space(icc), "GRAY" if becomes_gray else "RGB"
    if of == needed:
        return icc
    why = f"is of {of} and the result is {needed}" if of else "is damaged"
    _say_once(f"{path}: its colour profile {why}, so it is left out")
    return None


def _carried(path: Path, image: Image.Image, turned: bool) -> tuple[list[png.Chunk], png.Resolution | None]:
    """What a result takes over beside profile and EXIF, and the resolution."""
    if image.format == "PNG":
        with path.open("rb") as stream:
            return png.carried(stream, turned)
    comment = image.info.get("comment", b"")
    chunks = png.comment(comment if isinstance(comment, bytes) else comment.encode("latin-1", "replace"))
    if "dpi" not in image.info or (image.format == "TIFF" and _TIFF_X_RESOLUTION not in _tags(image)):
        return chunks, None
    across, down = (float(side) / png.INCH for side in image.info["dpi"])
    return chunks, (across, down, png.METRE)


def _decode(path: Path, scale: float = 0) -> _Decoded:
    try:
        # A stream, as of a name Pillow maps pixels into memory, and gets those of TIFFs that lie on a side wrong.
        with files.open_regular(path) as stream, Image.open(stream) as image:
            head = os.pread(stream.fileno(), 32, 0)
            if image.format == "EPS":
                raise UserError("a program in PostScript, which is not run")
            _check_claim(path, image, head, scale)
            turned_on_loading = _tags(image).get(_EXIF_ORIENTATION)  # so Pillow does with TIFFs
            image.load()
            orientation, exif_bytes = exif.read(image, path)
            orientation = orientation if orientation in _ORIENT else 1
            deep = _bits(image, head) == 16 and image.mode != "CMYK"
            levels = (_decode_16bit if deep else _decode_8bit)(path, image, head)
            icc = None if image.mode == "CMYK" else image.info.get("icc_profile")
            chunks, resolution = _carried(path, image, turned=orientation != 1)
            if resolution and not _ON_ITS_SIDE.isdisjoint({orientation, turned_on_loading}):
                resolution = resolution[1], resolution[0], resolution[2]
        _say_frames(path)
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: ", error) from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: not a readable picture (cannot identify image file {path.name!r})") from None
    except Exception as error:  # decoders of damaged files raise anything
        reason = getattr(error, "strerror", None) or str(error).replace(str(path), path.name)
        raise UserError(f"{path}: not a readable picture ({reason})") from error
    return _Decoded(_ORIENT[orientation](levels), icc, exif_bytes, resolution, tuple(chunks))


def read_photo(path: Path, scale: float = 0) -> Photo:
    """Decode a picture, turned upright as its EXIF says.

    Args:
      scale: how many times as many pixels a side the largest picture made of it has; 0 where none is made.
      path: PNG, JPEG, WebP, BMP or TIFF; gray, palette, RGB, CMYK, with or without alpha, 8 or 16 bits a channel. Of
        several frames or pages the first is taken, and said so.

    Raises:
      UserError: not a picture, truncated, of a depth that is not handled; or it or its result is too large.
    """
    decoded = _decode(path, scale)
    depth = 8 * decoded.levels.itemsize
    colours = decoded.levels.astype(np.float32) / np.float32(2**depth - 1)
    channels = colours.shape[2]
    alpha = np.ascontiguousarray(colours[..., -1]) if channels in (2, 4) else None
    gray = channels <= 2
    rgb = np.repeat(colours[..., :1], 3, axis=2) if gray else np.ascontiguousarray(colours[..., :3])
    icc = _fitting_profile(path, decoded.icc, decoded.levels)
    return Photo(rgb, alpha, depth, gray, icc, decoded.exif, decoded.resolution, decoded.chunks)


def says_orientation(path: Path) -> bool:
    """Whether the EXIF of a readable picture says which way is up."""
    with Image.open(path) as image:
        return _EXIF_ORIENTATION in image.getexif()


def to_levels(values: np.ndarray, depth: int = 8) -> np.ndarray:
    """[0, 1] floats to rounded integer levels: uint8 for depth 8, uint16 for 16; values outside are clipped."""
    top = 2**depth - 1
    return np.round(np.clip(values, 0.0, 1.0) * top).astype(np.uint8 if depth == 8 else np.uint16)


def to_gray(levels: np.ndarray) -> np.ndarray:
    """Luma of levels (H, W, 3), rounded to levels (H, W)."""
    gray = np.empty(levels.shape[:2], levels.dtype)
    depth = 8 * levels.itemsize
    for row, colours in zip(gray, levels, strict=True):  # so that little is in floating point at once
        row[:] = to_levels(colours.astype(np.float32) @ _RGB_TO_GRAY / np.float32(2**depth - 1), depth)
    return gray


def to_8bit(levels: np.ndarray) -> np.ndarray:
    """Levels of 8 or 16 bits rounded to uint8."""
    return levels if levels.dtype == np.uint8 else (levels // 257 + (levels % 257 > 128)).astype(np.uint8)


def _to_rgb8(levels: np.ndarray) -> np.ndarray:
    levels = to_8bit(levels)
    return np.repeat(levels[..., :1], 3, axis=2) if levels.shape[2] <= 2 else np.ascontiguousarray(levels[..., :3])


def as_written(levels: np.ndarray, photo: Photo) -> np.ndarray:
    """What `read_rgb8` gives of the file that `encoding.encode` makes of these levels, if it loses nothing of them."""
    return _to_rgb8(to_gray(levels)[..., None] if photo.gray else levels)


def plain_png(levels: np.ndarray) -> bytes:
    """A PNG of uint8 or uint16 levels (H, W, C): gray, gray and alpha (uint8), RGB or RGBA; nothing beside them.

    Raises:
      UserError: it is too large, see `size.py`.
    """
    height, width, channels = levels.shape
    size.check_result_size(height, width)
    if channels == 2:
        stream = io.BytesIO()
        Image.fromarray(levels).save(stream, "PNG")
        return stream.getvalue()
    if channels > 2:
        levels = cv2.cvtColor(levels, cv2.COLOR_RGBA2BGRA if channels == 4 else cv2.COLOR_RGB2BGR)
    encoded, content = cv2.imencode(".png", levels)
    if not encoded:
        raise UserError(f"a picture of {width}x{height} pixels cannot be encoded")
    return content.tobytes()


def read_rgb8(path: Path) -> np.ndarray:
    """uint8 (H, W, 3) RGB, whatever the file holds (alpha is dropped); raises as `read_photo` does."""
    return _to_rgb8(_decode(path).levels)


def write_rgb8(path: Path, rgb: np.ndarray) -> None:
    """Write uint8 (H, W, 3) RGB as PNG; raises as `plain_png` and `files.write_bytes` do."""
    files.write_bytes(path, plain_png(rgb))
