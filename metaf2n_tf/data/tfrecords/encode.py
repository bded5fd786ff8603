"""Squares to TFRecords, without TensorFlow: starting it takes longer than many a set, and it would hold threads up.

A record is the serialized tf.train.Example of one feature, `label`, the crop's raw bytes, or of two, `parsing` then
being its parsing map's, between its length and its checksums: uint64 length, CRC of the length, content, CRC of the
content, little-endian.
"""

import functools
import struct
from collections.abc import Sequence

import google_crc32c
import numpy as np

FEATURE = "label"
PARSING = "parsing"
_CHANNELS = 3  # of a feature
_LENGTH_BYTES, _CRC_BYTES = 8, 4
FRAME_BYTES = _LENGTH_BYTES + 2 * _CRC_BYTES


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


@functools.cache
def _example_heads(count: int, features: int) -> tuple[bytes, ...]:
    """What stands before the raw bytes of each feature in an Example of features that hold so many of them each."""
    heads = []
    for name in (FEATURE, PARSING)[:features]:
        bytes_list = _field(1, bytes(count))
        entry = _field(1, name.encode()) + _field(2, _field(1, bytes_list))
        heads.append(_field(1, entry)[:-count])
    length = sum(len(head) + count for head in heads)
    return _field(1, bytes(length))[:-length] + heads[0], *heads[1:]


def _features(crop: np.ndarray) -> list[np.ndarray]:
    return [crop[..., first : first + _CHANNELS] for first in range(0, crop.shape[2], _CHANNELS)]


def encode_example(crop: np.ndarray) -> bytes:
    """The serialized tf.train.Example of a uint8 (S, S, 3) crop, or (S, S, 6) with its parsing map behind it."""
    features = _features(crop)
    heads = _example_heads(features[0].size, len(features))
    return b"".join(head + feature.tobytes() for head, feature in zip(heads, features, strict=True))


def _masked_crc(content: bytes | np.ndarray) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def encode_records(crops: Sequence[np.ndarray]) -> np.ndarray:
    """Whole records, to be written one after the other.

    Args:
      crops: at least one, uint8 (S, S, 3), or (S, S, 6) with their parsing maps behind them.

    Returns:
      uint8 (N, bytes of a record).
    """
    one = _features(crops[0])[0]
    heads = _example_heads(one.size, crops[0].shape[2] // _CHANNELS)
    content_bytes = sum(map(len, heads)) + crops[0].nbytes
    length = struct.pack("<Q", content_bytes)
    records = np.empty((len(crops), FRAME_BYTES + content_bytes), np.uint8)
    places, end = [], 0
    for head in (length + _masked_crc(length) + heads[0], *heads[1:]):
        start, end = end + len(head), end + len(head) + one.size
        records[:, start - len(head) : start] = np.frombuffer(head, np.uint8)
        places.append(slice(start, end))
    for record, crop in zip(records, crops, strict=True):
        for place, feature in zip(places, _features(crop), strict=True):
            record[place].reshape(feature.shape)[...] = feature
        content = record[_LENGTH_BYTES + _CRC_BYTES : -_CRC_BYTES]
        record[-_CRC_BYTES:] = np.frombuffer(_masked_crc(content), np.uint8)
    return records
