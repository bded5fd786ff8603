"""Results as files of the kinds in `formats.py`: pixels as the photo's were, and what its file says beside them."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from metaf2n_tf.data import exif, formats, images, png, profiles, tiff
from metaf2n_tf.data.formats import FORMATS, Format

_DENSEST = 65535  # pixels an inch


class _Kept(NamedTuple):
    """What a result's file says beside its pixels: told is EXIF, density the resolution in pixels an inch."""

    icc: bytes | None
    told: bytes | None
    resolution: png.Resolution | None
    density: exif.Density | None
    chunks: tuple[png.Chunk, ...]


def _density(resolution: png.Resolution | None) -> exif.Density | None:
    if resolution is None or resolution[2] != png.METRE:
        return None
    across, down = (side * png.INCH for side in resolution[:2])
    return (across, down) if min(across, down) >= 0.5 and max(across, down) <= _DENSEST else None


def _holds_gray(kind: Format, depth: int, has_alpha: bool) -> bool:
    """Whether such a file has a single channel for gray; no reader here knows one of 16 bits with alpha."""
    return kind.gray and not (has_alpha and kind.alpha and min(depth, kind.depth) == 16)


def _keep(photo: images.Photo, size: tuple[int, int], kind: Format) -> tuple[_Kept, list[str]]:
    """What a result of this (height, width) says of its photo; and what such a file cannot keep, in words."""
    icc, scale = photo.icc, max(size) / max(photo.size)
    resolution = photo.resolution and (scale * photo.resolution[0], scale * photo.resolution[1], photo.resolution[2])
    density = _density(resolution)
    if kind.chunks:
        return _Kept(icc, photo.exif, resolution, density, photo.chunks), []
    lost, told = [], exif.of_result(photo.exif, size, density)
    if photo.depth > kind.depth:
        lost.append(f"{photo.depth} bits a channel become {kind.depth}")
    if photo.alpha is not None and not kind.alpha:
        lost.append("what is transparent is put on white")
    needed = "GRAY" if photo.gray and _holds_gray(kind, photo.depth, photo.alpha is not None) else "RGB"
    if icc and (of := profiles.space(icc)) != needed:
        lost.append(f"its colour profile, of {of}, is left out, as the result is {needed}")
        icc = None
    if icc and len(icc) > kind.icc:
        lost.append(f"its colour profile of {len(icc)} bytes is too long and is left out")
        icc = None
    if told and len(told) > kind.segment:
        lost.append(f"its EXIF of {len(told)} bytes is too long and is left out")
        told = None
    if resolution and not density:
        lost.append("its resolution, which is no usual number of pixels an inch, is left out")
    chunks = [chunk for chunk in photo.chunks if kind.comment and 0 < len(png.comment_of([chunk])) <= kind.segment]
    others = png.in_words([chunk for chunk in photo.chunks if chunk not in chunks], profiled=icc is not None)
    if others:
        lost.append(f"what it says beside its pixels is left out: {', '.join(others)}")
    return _Kept(icc, told, resolution, density, tuple(chunks)), lost


def losses(photo: images.Photo, name: str) -> list[str]:
    """What becomes of a photo where a file of this format cannot keep it, in words: "16 bits a channel become 8"."""
    return _keep(photo, photo.size, FORMATS[name])[1]


def _on_white(levels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Uint8 (H, W, 3) as it looks on white, through an alpha of uint8 (H, W)."""
    opaque = alpha[..., None].astype(np.uint16)
    return ((levels * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)


def _pixels(levels: np.ndarray, alpha: np.ndarray | None, gray: bool, kind: Format) -> np.ndarray:
    """Uint8 or uint16 levels (H, W, 1 to 4) as the file holds them, the last of 2 or 4 alpha."""
    if 8 * levels.itemsize > kind.depth:
        levels, alpha = images.to_8bit(levels), None if alpha is None else images.to_8bit(alpha)
    if gray:
        holds_gray = _holds_gray(kind, 8 * levels.itemsize, alpha is not None)
        levels = images.to_gray(levels)[..., None].repeat(1 if holds_gray else 3, axis=2)
    if alpha is None:
        return levels
    return np.dstack([levels, alpha]) if kind.alpha else _on_white(levels, alpha)


def _png(levels: np.ndarray, kept: _Kept, _: int | None) -> bytes:
    chunks = [png.profile(kept.icc)] if kept.icc else []
    if kept.told:
        chunks.append((b"eXIf", kept.told.removeprefix(b"Exif\0\0")))
    return png.add(images.plain_png(levels), [*chunks, *png.resolution(kept.resolution), *kept.chunks])


def _by_pillow(levels: np.ndarray, kept: _Kept, kind: str, **options: Any) -> bytes:
    beside = {"icc_profile": kept.icc, "exif": kept.told, "dpi": kept.density, "comment": png.comment_of(kept.chunks)}
    image, stream = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels), io.BytesIO()
    image.save(stream, kind, **options, **{name: value for name, value in beside.items() if value})
    return stream.getvalue()


def _jpeg(levels: np.ndarray, kept: _Kept, quality: int | None) -> bytes:
    return _by_pillow(levels, kept, "JPEG", quality=quality, subsampling="4:4:4")


def _webp(levels: np.ndarray, kept: _Kept, quality: int | None) -> bytes:
    if quality == formats.BEST:
        return _by_pillow(levels, kept, "WEBP", lossless=True, exact=True)
    return _by_pillow(levels, kept, "WEBP", quality=quality)


def _tiff(levels: np.ndarray, kept: _Kept, _: int | None) -> bytes:
    return tiff.encode(levels, kept.icc, kept.told, kept.density)


_WRITERS: dict[str, Callable[[np.ndarray, _Kept, int | None], bytes]] = {
    "png": _png,
    "jpg": _jpeg,
    "webp": _webp,
    "tiff": _tiff,
}


def encode(
    levels: np.ndarray, alpha: np.ndarray | None, photo: images.Photo, name: str = "png", quality: int | None = None
) -> bytes:
    """Encode new pixels as the photo was, as far as a format can: see `losses`.

    Args:
      levels: uint8 or uint16 (H, W, 3), RGB.
      alpha: the same dtype (H, W), or None.
      photo: says whether the file is gray, and carries what is said beside the pixels.
      name: of `FORMATS`.
      quality: 1 to 100 for a format that loses something, 100 without loss in WebP; None for the format's default.

    Raises:
      UserError: it is too large, see `size.py` and `formats.py`.
    """
    kind = FORMATS[name]
    height, width = levels.shape[:2]
    formats.check_result_size(name, height, width)
    kept, _ = _keep(photo, (height, width), kind)
    return _WRITERS[name](_pixels(levels, alpha, photo.gray, kind), kept, formats.quality_of(name, quality))
