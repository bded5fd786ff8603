"""Reads the two kinds of file that a TensorFlow checkpoint is made of, within the bytes that they have.

TensorFlow's own reader ends the process at an index that is well-formed but makes no sense, as a stranger's may be. The
`.index` is a table as LevelDB has them (`table_format.md` there): blocks of sorted keys that share their beginnings, a
block that lists the blocks, and a footer. Its values are the messages of `tensor_bundle.proto`: one with the key "",
and for each variable its type, its shape, and where in which `.data` file its bytes are.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import ml_dtypes
import numpy as np
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import tensor_bundle_pb2

from metaf2n_tf.data import files
from metaf2n_tf.weights.check import check_size

DAMAGE = (ValueError, LookupError, struct.error, DecodeError, MemoryError)  # `read` raises

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
# Names share their beginnings, so that an entry of 6 bytes may ask for 1000: a training of RRDBNet has 2,300 entries in
# 120 kB.
_LONGEST_INDEX, _MOST_ENTRIES, _LONGEST_NAME = 4 << 20, 1 << 14, 1000
_DTYPES = {  # numbers of types.proto
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    9: np.int64,
    10: np.bool_,
    14: ml_dtypes.bfloat16,
    17: np.uint16,
    19: np.float16,
    22: np.uint32,
    23: np.uint64,
}


def _crc_is(crc: int, *pieces: bytes) -> bool:
    """Whether that is the masked checksum of these bytes."""
    found = 0
    for piece in pieces:
        found = google_crc32c.extend(found, piece)
    return crc == ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF


class _Bytes:
    """A run of bytes, read from its start to its end; reading beyond it is a ValueError."""

    def __init__(self, content: bytes):
        self._content, self._place = content, 0

    def __bool__(self) -> bool:
        return self._place < len(self._content)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        start, self._place = self._place, self._place + count
        if self._place > len(self._content):
            raise ValueError("it ends too early")
        return self._content[start : self._place]

    def varint(self) -> int:
        """The next number: seven bits a byte, the lowest first."""
        number = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise ValueError("a number without an end")


def _handle(content: _Bytes) -> tuple[int, int]:
    """Where a block starts, and its bytes."""
    return content.varint(), content.varint()


def _entries(table: bytes, place: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of one block, which a byte for its compression and a checksum follow."""
    block, trailer = table[place : place + size], table[place + size : place + size + 5]
    compression, crc = struct.unpack("<BI", trailer)
    if compression or not _crc_is(crc, block, trailer[:1]):
        raise ValueError("a block is compressed, or its checksum is wrong")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 * (restarts + 1)
    if end < 0:
        raise ValueError("a block is too short")
    content, key = _Bytes(block[:end]), b""
    while content:
        shared, rest, length = content.varint(), content.varint(), content.varint()
        if shared > len(key) or shared + rest > _LONGEST_NAME:
            raise ValueError("a name is longer than names are")
        key = key[:shared] + content.take(rest)
        yield key, content.take(length)


def _read_table(table: bytes) -> dict[str, bytes]:
    """`{key: value}` of a whole index."""
    footer = _Bytes(table[-_FOOTER:])
    _handle(footer)  # of a block about other blocks, which bundles leave empty
    place, size = _handle(footer)
    if len(table) < _FOOTER or struct.unpack("<Q", table[-8:]) != (_MAGIC,):
        raise ValueError("it is no index")
    found, last, left = {}, None, len(table)
    for _, handle in _entries(table, place, size):
        place, size = _handle(_Bytes(handle))
        left -= size
        if left < 0:
            raise ValueError("a block is listed more than once")
        for key, value in _entries(table, place, size):
            if last is not None and key <= last:
                raise ValueError("its names are out of order")
            if len(found) == _MOST_ENTRIES:
                raise ValueError(f"it has more than {_MOST_ENTRIES} entries")
            found[key.decode(errors="replace")], last = value, key
    return found


def _read_array(name: str, entry: tensor_bundle_pb2.BundleEntryProto, shard: Path) -> np.ndarray:
    shape, dtype = tuple(dim.size for dim in entry.shape.dim), np.dtype(_DTYPES[entry.dtype])
    if entry.slices or entry.shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError(f"{name} is stored in parts, or has no shape")
    if entry.size != math.prod(shape) * dtype.itemsize or entry.offset < 0:
        raise ValueError(f"{name} does not have the bytes that its shape needs")
    if entry.offset + entry.size > shard.stat().st_size:
        raise ValueError(f"{name} is cut off")
    with files.open_regular(shard) as stream:
        stream.seek(entry.offset)
        content = stream.read(entry.size)
    if len(content) != entry.size or not _crc_is(entry.crc32c, content):
        raise ValueError(f"the checksum of {name} is wrong")
    return np.frombuffer(content, dtype).reshape(shape).copy()


def read(prefix: Path) -> dict[str, np.ndarray]:
    """Read every variable of a checkpoint that holds numbers, `{name: array}` in the stored dtypes.

    Raises:
      OSError: a file is missing or cannot be read; one of `DAMAGE`: it makes no sense; UserError: it asks for more
        memory than its size warrants.
    """
    table = _read_table(files.read_whole(prefix.with_name(f"{prefix.name}.index"), _LONGEST_INDEX))
    header = tensor_bundle_pb2.BundleHeaderProto.FromString(table.pop(""))
    if header.endianness != tensor_bundle_pb2.BundleHeaderProto.LITTLE:
        raise ValueError("it was saved on a big-endian machine")
    entries = {name: tensor_bundle_pb2.BundleEntryProto.FromString(value) for name, value in table.items()}
    entries = {name: entry for name, entry in entries.items() if entry.dtype in _DTYPES}
    numbers = sorted({entry.shard_id for entry in entries.values()})
    shards = {
        number: prefix.with_name(f"{prefix.name}.data-{number:05}-of-{header.num_shards:05}") for number in numbers
    }
    check_size(
        sum(max(0, entry.size) for entry in entries.values()), sum(path.stat().st_size for path in shards.values())
    )
    return {name: _read_array(name, entry, shards[entry.shard_id]) for name, entry in entries.items()}
