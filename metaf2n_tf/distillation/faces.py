"""TFRecords of faces in, batches out: the LQ face, the HQ face and its parsing map, in an order of the seed's own.

LQ faces, which the published code reads from folders `LR_bicubic`, are made as they are needed: the HQ face, reduced by
the scale with a bicubic filter that widens with it, rounded to 8 bits, and enlarged to its first size bicubically
(Pillow, whose kernel is that of MATLAB's `imresize`).
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from metaf2n_tf import places
from metaf2n_tf.data.tfrecords.records import NOT_OF_THE_SET, RecordSet, open_set
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks.kdfsrnet import UNIT

_AHEAD = 4  # batches
_CHANNELS = 3


def make_lq(hq: np.ndarray, scale: int) -> np.ndarray:
    """The LQ face of uint8 (S, S, 3), of the same size; S is a multiple of the scale."""
    size = hq.shape[1], hq.shape[0]
    small = Image.fromarray(hq).resize((size[0] // scale, size[1] // scale), Image.Resampling.BICUBIC)
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC))


def open_faces(argument: str, path: str, parsing: bool, least: int = UNIT) -> RecordSet:
    """Open a set and try its first record.

    Args:
      argument: what `path` is called in messages.
      path: of the set.
      parsing: whether its records must hold parsing maps.
      least: side of the faces.

    Raises:
      UserError: it cannot be opened, its faces are of no usable size, or there are no parsing maps.
    """
    try:
        opened = open_set(path)
    except UserError as error:
        raise UserError(Argument(argument), " ", error) from None
    if opened.side % UNIT or opened.side < least:
        raise UserError(
            Argument(argument, path),
            f": its faces have {opened.side} pixels a side, expected a multiple of {UNIT} of at least "
            f"{least}. Remedy: {places.command('tfrecord')} --face_size 128",
        )
    try:
        next(iter(opened.read(tf.data.Dataset.range(1), parsing=parsing)))
    except NOT_OF_THE_SET:
        raise UserError(
            Argument(argument, path),
            f": its records hold no parsing maps. Remedy: {places.command('tfrecord')} --parsing_dir",
        ) from None
    except tf.errors.DataLossError:
        raise UserError(Argument(argument, path), ": its first record is damaged") from None
    return opened


def epoch_order(count: int, seed: int, epoch: int, augment: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The order of the records in an epoch, whether each is flipped, and its quarter turns: int64, bool, int64."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(count)
    flips, turns = rng.random(count) < 0.5, rng.integers(0, 4, count)
    return order, flips & augment, turns * augment


def batches(
    opened: RecordSet,
    batch_size: int,
    scale: int,
    order: tuple[np.ndarray, np.ndarray, np.ndarray],
    parsing: bool,
    start: int = 0,
) -> Iterator[tf.Tensor]:
    """The faces of one epoch.

    Args:
      opened: the set.
      batch_size: faces a batch; the last one may have fewer.
      scale: of the LQ faces.
      order: what `epoch_order` gives.
      parsing: the parsing maps, too.
      start: records of the epoch to leave out.

    Yields:
      uint8 (N, S, S, 6 or 9): LQ, HQ and parsing map.

    Raises:
      UserError: a record is damaged.
    """
    positions, flips, turns = (values[start:] for values in order)

    def prepare(square: np.ndarray, flip: bool, turn: int) -> np.ndarray:
        stacked = np.dstack([make_lq(square[..., :_CHANNELS], scale), square])
        return np.ascontiguousarray(np.rot90(stacked[:, ::-1] if flip else stacked, turn))

    def prepare_one(square: tf.Tensor, flip: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
        made = tf.numpy_function(prepare, [square, flip, turn], tf.uint8)
        return tf.ensure_shape(made, [opened.side, opened.side, _CHANNELS * (3 if parsing else 2)])

    squares = opened.read(tf.data.Dataset.from_tensor_slices(np.int64(positions)), parsing=parsing)
    changes = tf.data.Dataset.from_tensor_slices((flips, turns))
    dataset = tf.data.Dataset.zip((squares, changes)).map(
        lambda square, change: prepare_one(square, *change), tf.data.AUTOTUNE, deterministic=True
    )
    try:
        yield from dataset.batch(batch_size).prefetch(_AHEAD)
    except (tf.errors.DataLossError, *NOT_OF_THE_SET):
        raise UserError(f"{opened.shards[0]}: a record of this set is damaged") from None


def in_order(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `epoch_order`: the records one after the other, unchanged."""
    return np.arange(count), np.zeros(count, bool), np.zeros(count, np.int64)
