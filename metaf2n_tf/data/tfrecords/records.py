"""Sets in the published TFRecord format: one feature, `label`, the raw bytes of a uint8 RGB square, row by row.

Sets of faces may have another one, `parsing`, the same of the face's parsing map.

All records of a set are of one length, so the place of any of them is known without an index: sets are read in any
order, from any position, and by TensorFlow's own reader, which checks every record's CRC.
"""

import math
import os
import re
import struct
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from metaf2n_tf import places
from metaf2n_tf.data.tfrecords.encode import FEATURE, FRAME_BYTES, PARSING
from metaf2n_tf.data.tfrecords.shards import shard_paths, split_name
from metaf2n_tf.errors import UserError

_FEATURES = {name: tf.io.FixedLenFeature([], tf.string) for name in (FEATURE, PARSING)}
_COMPRESSED = {"gzip": (b"\x1f\x8b",), "zlib": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")}  # first bytes
# Of a record that is none of the set's; TensorFlow quotes its bytes, which need not be text.
NOT_OF_THE_SET = (tf.errors.InvalidArgumentError, UnicodeDecodeError)
_SHARD = re.compile(r"-\d{5}-of-(\d{5})$")


def decode(examples: tf.Tensor, side: int, feature: str = FEATURE) -> tf.Tensor:
    """Serialized examples, strings (N,), to uint8 (N, side, side, 3)."""
    crops = tf.io.parse_example(examples, {feature: _FEATURES[feature]})[feature]
    return tf.reshape(tf.io.decode_raw(crops, tf.uint8), [-1, side, side, 3])


def find_shards(path: str) -> list[str]:
    """The files of a set that is asked for by its name, `FOLDER/back400.tfrecord`.

    Raises:
      UserError: there are none, or not all of them.
    """
    if tf.io.gfile.exists(path):
        return [path]
    stem, suffix = split_name(path)
    folder, slash, name = stem.rpartition("/")
    named = re.compile(re.escape(name) + r"-\d{5}-of-\d{5}" + re.escape(suffix))
    inside = tf.io.gfile.listdir(folder or slash or ".") if tf.io.gfile.isdir(folder or slash or ".") else []
    found = sorted(folder + slash + entry for entry in inside if named.fullmatch(entry))
    if not found:
        raise UserError(f"{path}: no such TFRecord set. Remedy: make it with {places.command('tfrecord')}")
    counts = {int(match[1]) for match in (_SHARD.search(split_name(shard)[0]) for shard in found) if match}
    whole = set(shard_paths(path, max(counts, default=1)))
    missing = sorted(whole - set(found))
    if len(counts) != 1 or whole != set(found):
        is_missing = len(counts) == 1 and missing
        what = f"{missing[0]} is missing" if is_missing else "shards of more than one set lie there"
        raise UserError(f"{path}: {what}. Remedy: make the set again with {places.command('tfrecord')} --overwrite")
    return found


@dataclass(frozen=True)
class RecordSet:
    """A set, opened for reading. shards: its files; counts: records in each; record_bytes; side: of the crops."""

    shards: tuple[str, ...]
    counts: tuple[int, ...]
    record_bytes: int
    side: int

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(self.counts)

    def read(
        self, positions: tf.data.Dataset, parallel_calls: int = tf.data.AUTOTUNE, parsing: bool = False
    ) -> tf.data.Dataset:
        """Read crops.

        Args:
          positions: int64 scalars below `count`, in any order.
          parallel_calls: records read at a time; the order does not depend on it.
          parsing: the parsing maps, too.

        Returns:
          Dataset of uint8 (side, side, 3), or (side, side, 6) with the parsing map behind the face.

        Raises:
          tf.errors.DataLossError: while it is iterated: a record is damaged.
        """
        ends = np.cumsum(self.counts)
        starts = tf.constant(ends - self.counts)

        def read_one(position: tf.Tensor) -> tf.Tensor:
            shard = tf.searchsorted(ends, position[None], side="right")[0]
            source = tf.raw_ops.TFRecordDatasetV2(
                filenames=tf.gather(self.shards, shard)[None],
                compression_type="",
                buffer_size=self.record_bytes,
                byte_offsets=((position - starts[shard]) * self.record_bytes)[None],
            )
            record = tf.data.experimental.from_variant(source, tf.TensorSpec((), tf.string)).take(1)
            examples = record.get_single_element()[None]
            features = (FEATURE, PARSING) if parsing else (FEATURE,)
            return tf.concat([decode(examples, self.side, feature)[0] for feature in features], axis=-1)

        return positions.map(read_one, parallel_calls, deterministic=True)


def _unreadable(shard: str, otherwise: str) -> UserError:
    """Why a file gives no records: it may be compressed, which its first bytes alone would not prove."""
    with tf.io.gfile.GFile(shard, "rb") as stream:
        head = stream.read(2)
    for name, starts in _COMPRESSED.items():
        if head in starts:
            return UserError(
                f"{shard}: compressed with {name}. Remedy: write it uncompressed, as records are sought by place"
            )
    return UserError(f"{shard}: {otherwise}")


def _open_shard(shard: str) -> tuple[int, int]:
    """(bytes in the file, bytes of its first record with its frame); (0, 0) for an empty file."""
    if os.path.exists(shard) and not os.path.isfile(shard):  # a pipe would keep one waiting
        raise UserError(f"{shard}: not a file")
    try:
        size = tf.io.gfile.stat(shard).length
        with tf.io.gfile.GFile(shard, "rb") as stream:
            head = stream.read(8)
    except tf.errors.OpError as error:
        raise UserError(f"{shard}: cannot be read: {error.message}") from None
    if not size:
        return 0, 0
    length = struct.unpack("<Q", head)[0] + FRAME_BYTES if len(head) == 8 else 0
    if not 0 < length <= size:
        raise _unreadable(shard, "not a TFRecord file, or cut off")
    return size, length


def _read_side(shard: str) -> int:
    try:
        example = next(iter(tf.data.TFRecordDataset(shard).take(1)))
        label = tf.io.parse_single_example(example, {FEATURE: _FEATURES[FEATURE]})[FEATURE].numpy()
    except tf.errors.DataLossError:
        raise _unreadable(shard, "its first record is damaged") from None
    except NOT_OF_THE_SET:
        raise UserError(f"{shard}: its records have no bytes feature {FEATURE!r}") from None
    side = math.isqrt(len(label) // 3)
    if side * side * 3 != len(label) or not side:
        raise UserError(f"{shard}: its records hold {len(label)} bytes, which is no RGB square")
    return side


def open_set(path: str) -> RecordSet:
    """Open the set of a name such as `datasets/back400.tfrecord`, in one file or in shards.

    Raises:
      UserError: not there, not complete, damaged, or not of equal crops.
    """
    shards = find_shards(path)
    sizes = [_open_shard(shard) for shard in shards]
    lengths = {length for _, length in sizes if length}
    if not lengths:
        raise UserError(f"{path}: holds no records")
    record_bytes = lengths.pop()
    for shard, (size, _) in zip(shards, sizes, strict=True):
        if lengths or size % record_bytes:
            raise _unreadable(shard, "cut off, or its records are not all of one size")
    first = next(shard for shard, (size, _) in zip(shards, sizes, strict=True) if size)
    counts = tuple(size // record_bytes for size, _ in sizes)
    return RecordSet(tuple(shards), counts, record_bytes, _read_side(first))
