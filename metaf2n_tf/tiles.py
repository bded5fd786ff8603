"""Super-resolve a picture of any size: only one tile at a time reaches the device, so memory does not grow with it."""

import functools
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from metaf2n_tf import progress, runtime
from metaf2n_tf.data.images import to_levels
from metaf2n_tf.errors import Argument, Message, UserError
from metaf2n_tf.networks import sr

logger = logging.getLogger(__name__)

DEFAULT_TILE = 256
AUTO = "auto"
_SMALLEST_TILE = 32
_TRIED_SIDE = 128  # LQ pixels of the piece that precisions are tried on
_LEAST_DECIBELS = 50.0  # against float32, of a precision that is chosen unasked
_LEAST_GAIN = 1.1  # how many times as fast it has to be

Area = tuple[slice, slice]  # rows, columns


def _round_up(length: int, unit: int) -> int:
    return (length + unit - 1) // unit * unit


def split(length: int, tile: int, pad: int, unit: int = 1) -> Iterator[tuple[slice, slice, slice]]:
    """Cut one axis into windows of one size.

    Args:
      length: pixels on the axis.
      tile: pixels that a window contributes at most; 0 for all of them.
      pad: context pixels on either side of them, at least.
      unit: windows start at its multiples.

    Yields:
      (window, kept part, kept part relative to the window): slices in LQ pixels. The kept parts cover the axis once;
      windows at the border are moved inward, so that all have one size, save the last where `unit` does not divide the
      axis.
    """
    if tile == 0 or length <= tile + 2 * pad:
        yield slice(0, length), slice(0, length), slice(0, length)
        return
    count = math.ceil(length / tile)
    edges = [round(i * length / count) for i in range(count + 1)]
    size = _round_up(max(b - a for a, b in itertools.pairwise(edges)) + 2 * pad + unit - 1, unit)
    for start, stop in itertools.pairwise(edges):
        first = max(min(start - pad, _round_up(length, unit) - size), 0) // unit * unit
        yield slice(first, min(first + size, length)), slice(start, stop), slice(start - first, stop - first)


def times_scale(part: slice) -> slice:
    """The slice of the x4 picture that covers a slice of the LQ one."""
    return slice(sr.SCALE * part.start, sr.SCALE * part.stop)


def areas(size: tuple[int, int], tile: int, pad: int, unit: int = 1) -> Iterator[tuple[Area, Area, Area]]:
    """`split` on both axes: (window in LQ pixels, kept part in HQ pixels, the same relative to the window)."""
    for rows, out_rows, kept_rows in split(size[0], tile, pad, unit):
        for cols, out_cols, kept_cols in split(size[1], tile, pad, unit):
            out = times_scale(out_rows), times_scale(out_cols)
            yield (rows, cols), out, (times_scale(kept_rows), times_scale(kept_cols))


@functools.cache
def _compiled(precision: str, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Callable:
    """The forward pass of the network whose variables have these names and shapes, for all who use it."""

    def forward(params, images):
        params = {name: tf.cast(value, precision) for name, value in params.items()}
        return tf.cast(sr.forward(params, tf.cast(images, precision)), tf.float32)

    # Traced once, with open height and width, for windows of every size.
    params = {name: tf.TensorSpec(shape, tf.float32) for name, shape in shapes}
    images = tf.TensorSpec((1, None, None, 3), tf.float32)
    return tf.function(forward, autograph=False).get_concrete_function(params, images)


class SuperResolver:
    """The compiled forward pass of the SR network, in tiles; given the weights at each call.

    tile: LQ pixels that are asked for; used_tile: those of the last picture, fewer where memory did not suffice.
    precision: what is asked for; used_precision: what "auto" has chosen on the first picture, None before it.
    """

    def __init__(self, tile: int = DEFAULT_TILE, tile_pad: int | None = None, precision: str = "float32"):
        """See `split` for `tile` and `tile_pad`, None for the network's receptive field; `precision` is float32,
        bfloat16, float16, or auto: the fastest that the device has instructions for, if it is faster than float32
        and its PSNR against float32 is at least 50 dB, both on the first picture; else float32."""
        if tile and tile < _SMALLEST_TILE:
            raise UserError(
                Argument("tile", tile), f": at least {_SMALLEST_TILE} pixels, or 0 for the whole photo at once"
            )
        if tile_pad is not None and tile_pad < 0:
            raise UserError(Argument("tile_pad", tile_pad), ": cannot be negative")
        self.tile, self.tile_pad, self.precision = tile, tile_pad, precision
        self.used_tile = tile
        self.used_precision = None if precision == AUTO else precision

    def _forward(self, params: sr.Params, window: np.ndarray, precision: str) -> np.ndarray:
        shapes = tuple((name, tuple(value.shape)) for name, value in params.items())
        return _compiled(precision, shapes)(params, tf.constant(window[None])).numpy()[0]

    def _timed(self, params: sr.Params, window: np.ndarray, precision: str) -> tuple[np.ndarray, float]:
        """What a window gives, clipped, and the seconds it takes once all is compiled."""
        self._forward(params, window, precision)
        began = time.monotonic()
        out = self._forward(params, window, precision)
        return np.clip(out, 0, 1), time.monotonic() - began

    def _choose(self, params: sr.Params, window: np.ndarray) -> str:
        """The precision that pays, tried on a window."""
        candidates = runtime.reduced_precisions()
        if not candidates:
            logger.info(Message(Argument("precision", AUTO), ": float32, as the device has nothing that is faster"))
            return "float32"
        exact, least = self._timed(params, window, "float32")
        chosen, remarks, fastest = "float32", [], least / _LEAST_GAIN
        for precision in candidates:
            rough, seconds = self._timed(params, window, precision)
            error = float(np.mean((rough - exact) ** 2, dtype=np.float64))
            decibels = -10 * math.log10(error) if error else math.inf
            remarks.append(f"{precision} {least / seconds:.1f} times as fast, PSNR {decibels:.1f} dB against float32")
            if seconds <= fastest and decibels >= _LEAST_DECIBELS:
                chosen, fastest = precision, seconds
        logger.info(Message(Argument("precision", AUTO), f": {chosen} ({'; '.join(remarks)})"))
        return chosen

    def _finite_forward(self, params: sr.Params, window: np.ndarray) -> np.ndarray:
        if self.used_precision is None:
            self.used_precision = self._choose(params, window[:_TRIED_SIDE, :_TRIED_SIDE])
        out = self._forward(params, window, self.used_precision)
        if not np.isfinite(out).all() and self.used_precision != "float32":
            logger.warning(f"a tile came out non-finite in {self.used_precision}: recomputed in float32")
            out = self._forward(params, window, "float32")
        if not np.isfinite(out).all():
            raise UserError("the network's output is not finite: these weights cannot be used on this photo")
        return out

    def _in_tiles(self, params: sr.Params, rgb: np.ndarray, depth: int | None) -> np.ndarray:
        height, width = rgb.shape[:2]
        pad = sr.receptive_field(params) if self.tile_pad is None else self.tile_pad
        dtype = np.float32 if depth is None else np.uint8 if depth == 8 else np.uint16
        result = np.empty((sr.SCALE * height, sr.SCALE * width, 3), dtype)
        tiles = list(areas((height, width), self.used_tile, pad, sr.unit(params)))
        for window, place, kept in progress.each(tiles, "tiles", len(tiles)):
            out = self._finite_forward(params, rgb[window])[kept]
            result[place] = out if depth is None else to_levels(out, depth)
        return result

    def __call__(self, params: sr.Params, rgb: np.ndarray, depth: int | None = None) -> np.ndarray:
        """Super-resolve a picture x4.

        Every picture starts with the tiles that were asked for, so that what it gives does not depend on those before.

        Args:
          params: SR weights, float32.
          rgb: float32 (H, W, 3) in [0, 1].
          depth: None for float32 results, not clipped; 8 or 16 for rounded uint8 or uint16 levels.

        Returns:
          (4H, 4W, 3), RGB.

        Raises:
          UserError: the smallest tile does not fit into memory, or the output is not finite.
        """
        self.used_tile = self.tile
        while True:
            try:
                return self._in_tiles(params, rgb, depth)
            except tf.errors.ResourceExhaustedError:
                smaller = (self.used_tile or max(rgb.shape[:2])) // 2
                if smaller < _SMALLEST_TILE:
                    raise UserError(
                        f"out of memory even in tiles of {self.used_tile} pixels. Remedy: ", Argument("gpu", -1)
                    ) from None
                tiles = self.used_tile or "the whole photo"
                logger.warning(Message(f"out of memory in tiles of {tiles}: trying ", Argument("tile", smaller)))
                self.used_tile = smaller
