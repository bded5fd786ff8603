"""Pictures in any of the usual formats in, PNG out: depth, gray, alpha, orientation, profile and EXIF are kept.

Pillow decodes (it reports truncated files, and JPEG pixels equal the published code's); OpenCV reads the 16-bit
pixels that Pillow would cut to 8.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from metaf2n_tf.cli import say
from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError

PICTURES = ("bmp", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp")
_EXIF_ORIENTATION = 0x0112
_TIFF_BITS_PER_SAMPLE = 0x0102
_TIFF_PHOTOMETRIC = 0x0106
_WHITE_IS_ZERO = 0
_PNG_HEADER_BYTES = 8 + 25  # signature and IHDR; further chunks go behind them
_RGB_TO_GRAY = np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601 luma


@dataclass(frozen=True)
class Photo:
    """A decoded picture.

    rgb: float32 (H, W, 3) in [0, 1]; alpha: float32 (H, W) in [0, 1] or None; depth: 8 or 16 bits a channel;
    gray: the file has one colour channel (then the three of `rgb` are equal); icc, exif: raw bytes or None.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    depth: int = 8
    gray: bool = False
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.rgb.shape[:2]


def _bits(image: Image.Image, head: bytes) -> int:
    if image.format == "PNG":
        return head[24]
    if image.format == "TIFF":
        return max(np.atleast_1d(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, 8)))
    return 8


def _decode_16bit(path: Path, image: Image.Image) -> np.ndarray:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise UserError("neither 8 nor 16 bits a channel")
    if image.format == "TIFF" and image.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 65535 - pixels
    if pixels.ndim == 2:
        return pixels[..., None]
    if image.mode == "LA":
        return pixels[..., [0, 3]]
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _decode_8bit(image: Image.Image) -> np.ndarray:
    has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode.startswith(("I", "F")):
        raise UserError("neither 8 nor 16 bits a channel")
    mode = ("LA" if gray else "RGBA") if has_alpha else ("L" if gray else "RGB")
    if gray and has_alpha and image.mode not in ("LA", "La"):
        image = image.convert("RGBA")
    return np.atleast_3d(np.asarray(image.convert(mode)))


def _encode_exif(exif: Image.Exif, path: Path) -> bytes | None:
    try:
        return exif.tobytes() if len(exif) else None
    except (ValueError, TypeError, struct.error) as error:
        say(f"{path}: its EXIF is damaged ({error}) and is left out of the result")
        return None


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


@dataclass(frozen=True)
class _Decoded:
    """A picture as its file holds it: upright uint8 or uint16 levels (H, W, 1 to 4), the last of 2 or 4 alpha."""

    levels: np.ndarray
    icc: bytes | None
    exif: bytes | None


def _decode(path: Path) -> _Decoded:
    try:
        head = path.open("rb").read(32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                exif = image.getexif()
                orientation = exif.pop(_EXIF_ORIENTATION, 1)
                exif_bytes = _encode_exif(exif, path) if image.format != "TIFF" else None  # a TIFF's are its layout
                icc = None if image.mode == "CMYK" else image.info.get("icc_profile")
                levels = _decode_16bit(path, image) if _bits(image, head) == 16 else _decode_8bit(image)
    except UserError as error:
        raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:  # decoders of damaged files raise anything
        reason = getattr(error, "strerror", None) or str(error).replace(str(path), path.name)
        raise UserError(f"{path}: not a readable picture ({reason})") from error
    return _Decoded(_ORIENT.get(orientation, _ORIENT[1])(levels), icc, exif_bytes)


def read_photo(path: Path) -> Photo:
    """Decode a picture, turned upright as its EXIF says.

    Args:
      path: PNG, JPEG, WebP, BMP or TIFF; gray, palette, RGB, with or without alpha, 8 or 16 bits a channel.

    Raises:
      UserError: not a picture, truncated, or of a depth that is not handled.
    """
    decoded = _decode(path)
    depth = 8 * decoded.levels.itemsize
    colours = np.float32(decoded.levels) / np.float32(2**depth - 1)
    channels = colours.shape[2]
    alpha = np.ascontiguousarray(colours[..., -1]) if channels in (2, 4) else None
    gray = channels <= 2
    rgb = np.repeat(colours[..., :1], 3, axis=2) if gray else np.ascontiguousarray(colours[..., :3])
    return Photo(rgb, alpha, depth, gray, decoded.icc, decoded.exif)


def to_levels(values: np.ndarray, depth: int = 8) -> np.ndarray:
    """[0, 1] floats to rounded integer levels: uint8 for depth 8, uint16 for 16; values outside are clipped."""
    top = 2**depth - 1
    return np.round(np.clip(values, 0.0, 1.0) * top).astype(np.uint8 if depth == 8 else np.uint16)


def _to_gray(levels: np.ndarray) -> np.ndarray:
    depth = 8 * levels.itemsize
    return to_levels(np.float32(levels) @ _RGB_TO_GRAY / np.float32(2**depth - 1), depth)


def _to_rgb8(levels: np.ndarray) -> np.ndarray:
    if levels.dtype != np.uint8:
        levels = to_levels(np.float32(levels) / np.float32(65535))
    return np.repeat(levels[..., :1], 3, axis=2) if levels.shape[2] <= 2 else np.ascontiguousarray(levels[..., :3])


def as_written(levels: np.ndarray, photo: Photo) -> np.ndarray:
    """What `read_rgb8` gives of the picture that `encode_png` makes of these levels."""
    return _to_rgb8(_to_gray(levels)[..., None] if photo.gray else levels)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def encode_png(levels: np.ndarray, alpha: np.ndarray | None, photo: Photo) -> bytes:
    """Encode new pixels as the photo was: gray stays gray, with its ICC profile and EXIF.

    Args:
      levels: uint8 or uint16 (H, W, 3), RGB.
      alpha: the same dtype (H, W), or None.
      photo: says whether the file is gray, and carries the metadata.
    """
    depth = 8 * levels.itemsize
    if photo.gray:
        levels = _to_gray(levels)
    if photo.gray and alpha is not None and depth == 8:
        stream = io.BytesIO()
        Image.fromarray(np.dstack([levels, alpha])).save(stream, "PNG")
        png = stream.getvalue()
    else:
        if alpha is not None:  # no PNG writer here knows 16-bit gray with alpha, so that is stored as colour
            levels = np.dstack([levels, alpha] if not photo.gray else [levels, levels, levels, alpha])
        if levels.ndim == 3:
            levels = cv2.cvtColor(levels, cv2.COLOR_RGBA2BGRA if levels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
        png = cv2.imencode(".png", levels)[1].tobytes()
    extra = b""
    if photo.icc:
        extra += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc))
    if photo.exif:
        extra += _chunk(b"eXIf", photo.exif.removeprefix(b"Exif\0\0"))
    return png[:_PNG_HEADER_BYTES] + extra + png[_PNG_HEADER_BYTES:]


def read_rgb8(path: Path) -> np.ndarray:
    """uint8 (H, W, 3) RGB, whatever the file holds (alpha is dropped); raises as `read_photo` does."""
    return _to_rgb8(_decode(path).levels)


def write_rgb8(path: Path, rgb: np.ndarray) -> None:
    """Write uint8 (H, W, 3) RGB as PNG."""
    files.write_bytes(path, cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())


def list_photos(
    folder: Path,
    extensions: Sequence[str] = (),
    recursive: bool = False,
    leave_out: Sequence[Path] = (),
    flag: str = "--input_dir",
) -> list[Path]:
    """Files of a folder in name order; hidden ones are left out.

    Args:
      extensions: suffixes such as `png` or `.jpg`; files with another one are left out. Empty: every file counts.
      recursive: also those in sub-folders.
      leave_out: folders of faces or results, which may lie inside `folder`.
      flag: what `folder` is called in messages.

    Raises:
      UserError: no such folder, nothing in it, or two pictures whose results would have one name.
    """
    if not folder.is_dir():
        raise UserError(f"{flag} {folder}: no such folder")
    suffixes = {"." + extension.lower().lstrip(".") for extension in extensions}
    others = [other.resolve() for other in leave_out if not folder.resolve().is_relative_to(other.resolve())]
    photos, pictures = [], {}
    for file in sorted(folder.rglob("*") if recursive else folder.glob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        unwanted = suffixes and file.suffix.lower() not in suffixes
        if hidden or unwanted or not file.is_file() or any(file.resolve().is_relative_to(other) for other in others):
            continue
        if file.suffix.lower() in Image.registered_extensions():
            twin = pictures.setdefault(file.with_suffix(""), file)
            if twin != file:
                remedy = "rename one, or --ext" if flag == "--input_dir" else "rename one"
                raise UserError(f"{twin} and {file.name} would give results of one name. Remedy: {remedy}")
        photos.append(file)
    if not photos:
        raise UserError(f"{flag} {folder}: no photos there")
    return photos
