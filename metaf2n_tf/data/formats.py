"""The kinds of file that results are written as, and what each can hold; how they are written is in `encoding.py`."""

from dataclasses import dataclass

from metaf2n_tf.data import size
from metaf2n_tf.errors import Argument, UserError

_ANY = 2**31 - 1


@dataclass(frozen=True)
class Format:
    """What a kind of file can hold.

    longest: pixels of a side; depth: bits a channel; alpha, gray: whether it has such channels (gray becomes three
    equal colours where not); chunks, comment: whether it has those of a PNG, or only a comment; segment: most bytes of
    EXIF or a comment; icc: most of a profile; quality: what it is written with where nothing is asked for, None where
    nothing is ever lost.
    """

    title: str
    longest: int = _ANY
    depth: int = 16
    alpha: bool = True
    gray: bool = True
    chunks: bool = False
    comment: bool = False
    segment: int = _ANY
    icc: int = _ANY
    quality: int | None = None


# By the ending of their files. A JPEG's longest side is libjpeg's, and its profile has up to 255 segments.
FORMATS = {
    "png": Format("PNG", chunks=True),
    "jpg": Format(
        "JPEG", longest=65500, depth=8, alpha=False, comment=True, segment=65533, icc=255 * 65519, quality=95
    ),
    "webp": Format("WebP", longest=16383, depth=8, gray=False, quality=95),
    "tiff": Format("TIFF"),
}
BEST = 100  # quality


def quality_of(name: str, quality: int | None) -> int | None:
    """The quality to write a format with: the one asked for, else its default; None where nothing is lost.

    Raises:
      UserError: there is no such quality, or none at all.
    """
    default = FORMATS[name].quality
    if quality is None:
        return default
    if default is None:
        losing = [other for other, of_other in FORMATS.items() if of_other.quality is not None]
        raise UserError(
            Argument("quality", quality),
            f": {FORMATS[name].title} files lose nothing. Remedy: leave it out, or ",
            Argument("format", " or ".join(losing)),
        )
    if not 1 <= quality <= BEST:
        raise UserError(Argument("quality", quality), f": from 1 to {BEST}")
    return quality


def check_result_size(name: str, height: int, width: int) -> None:
    """Raise a UserError for a result that is above the limit of `size.py`, or longer than its format can be."""
    size.check_result_size(height, width)
    kind = FORMATS[name]
    if max(height, width) > kind.longest:
        raise UserError(
            f"a result of {width}x{height} pixels is longer than {kind.title} files can be ({kind.longest}). Remedy: ",
            Argument("format", "png"),
        )
