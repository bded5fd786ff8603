"""Squares to TFRecords, without TensorFlow: starting it takes longer than many a set, and it would hold threads up.

A record is the serialized tf.train.Example of one feature, `label`, the square's raw bytes, between its length and
its checksums: uint64 length, CRC of the length, content, CRC of the content, little-endian.
"""

import functools
import struct
from collections.abc import Sequence

import google_crc32c
import numpy as np

FEATURE = "label"
_LENGTH_BYTES, _CRC_BYTES = 8, 4
FRAME_BYTES = _LENGTH_BYTES + 2 * _CRC_BYTES


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


@functools.cache
def _example_head(count: int) -> bytes:
    """What stands before the raw bytes in an Example that holds so many of them."""
    bytes_list = _field(1, bytes(count))
    entry = _field(1, FEATURE.encode()) + _field(2, _field(1, bytes_list))
    return _field(1, _field(1, entry))[:-count]


def encode_example(square: np.ndarray) -> bytes:
    """The serialized tf.train.Example of a uint8 (S, S, 3) square."""
    return _example_head(square.nbytes) + square.tobytes()


def _masked_crc(content: bytes | np.ndarray) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def encode_records(squares: Sequence[np.ndarray]) -> np.ndarray:
    """Whole records, to be written one after the other.

    Args:
      squares: at least one, uint8 (S, S, 3).

    Returns:
      uint8 (N, bytes of a record).
    """
    head = _example_head(squares[0].nbytes)
    length = struct.pack("<Q", len(head) + squares[0].nbytes)
    front = length + _masked_crc(length) + head
    records = np.empty((len(squares), len(front) + squares[0].nbytes + _CRC_BYTES), np.uint8)
    records[:, : len(front)] = np.frombuffer(front, np.uint8)
    for record, square in zip(records, squares, strict=True):
        record[len(front) : -_CRC_BYTES].reshape(square.shape)[...] = square
        content = record[_LENGTH_BYTES + _CRC_BYTES : -_CRC_BYTES]
        record[-_CRC_BYTES:] = np.frombuffer(_masked_crc(content), np.uint8)
    return records
