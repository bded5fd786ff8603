"""PNG files, chunk by chunk (https://www.w3.org/TR/png-3/): what a result takes over from a photo, and what it adds."""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

Chunk = tuple[bytes, bytes]  # kind, body
Resolution = tuple[float, float, int]  # pixels a unit, across and down, and the unit: METRE, or 0 for none
METRE = 1
INCH = 0.0254  # metres

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = len(_SIGNATURE) + 25  # with IHDR; further chunks go behind them
_COLOUR = {b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_XMP, _RAW_PROFILE, _COMMENT = b"XML:com.adobe.xmp\0", b"Raw profile type ", b"Comment\0"
_LARGEST = 2**31 - 1  # number in a chunk


def _encode(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _read(stream: BinaryIO, kinds: set[bytes]) -> Iterator[Chunk]:
    end = stream.seek(0, os.SEEK_END)
    at = len(_SIGNATURE)
    while at + 8 <= end:
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind in kinds and at + 12 + length <= end:
            yield kind, stream.read(length)
        at += 12 + length


def resolution(found: Resolution | None) -> list[Chunk]:
    """The resolution as a chunk; none where it is no number that a PNG can hold."""
    if found is None or not all(0.5 <= side <= _LARGEST for side in found[:2]):
        return []
    return [(b"pHYs", struct.pack(">IIB", *map(round, found[:2]), found[2]))]


def comment(text: bytes) -> list[Chunk]:
    """The comment of another kind of file as a chunk."""
    text = text.replace(b"\0", b"").strip()
    return [(b"tEXt", _COMMENT + text)] if text else []


def comment_of(chunks: Iterable[Chunk]) -> bytes:
    """The comment that these chunks hold, as another kind of file has it; empty where they hold none."""
    return next((body.removeprefix(_COMMENT) for _, body in chunks if body.startswith(_COMMENT)), b"")


def in_words(chunks: Iterable[Chunk], profiled: bool) -> list[str]:
    """What these chunks hold that another kind of file does not: "text", or names like "gAMA" of those that say how
    colours look, where that is not as usual, sRGB, and no profile says it either."""
    kinds = dict.fromkeys("text" if kind in _TEXT else kind.decode() for kind, _ in chunks)
    usual = profiled or "sRGB" in kinds
    return [kind for kind in kinds if kind == "text" or not usual]


def carried(stream: BinaryIO, turned: bool) -> tuple[list[Chunk], Resolution | None]:
    """What the result of a PNG takes over from it: how colours look and text as they are; and its resolution.

    Args:
      turned: the pixels were turned upright; then XMP, which says how they lay, stays behind.
    """
    chunks, found = [], None
    for kind, body in _read(stream, _COLOUR | _TEXT | {b"pHYs"}):
        if kind == b"pHYs":
            found = struct.unpack(">IIB", body) if len(body) == 9 else None
        elif kind in _COLOUR or not (body.startswith(_RAW_PROFILE) or (turned and body.startswith(_XMP))):
            chunks.append((kind, body))  # a raw profile is EXIF or ICC in another dress
    return chunks, found


def profile(icc: bytes) -> Chunk:
    """An ICC profile."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)


def add(png: bytes, chunks: Iterable[Chunk]) -> bytes:
    """The file with these chunks before its pixels."""
    return png[:_HEADER_BYTES] + b"".join(_encode(*chunk) for chunk in chunks) + png[_HEADER_BYTES:]
