"""Pictures in strips of rows, so that none of x4 size is ever in floating point as a whole."""

from collections.abc import Iterator

from metaf2n_tf.tiles import split

_PIXELS = 1 << 16  # LQ pixels in a strip: 12 MB of x4 ones, in float32


def strips(size: tuple[int, int], pad: int = 0) -> Iterator[tuple[slice, slice, slice]]:
    """Rows that cover a picture of (height, width) `size` once, with `pad` more on either side where there are any.

    Yields:
      (window, rows, rows relative to the window): slices in LQ pixels.
    """
    height, width = size
    yield from split(height, max(1, _PIXELS // width), pad)
