"""Read a set back: every record's CRC, its shape, the count and checksums of its manifest; and a contact sheet."""

import contextlib
import math
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from metaf2n_tf import progress
from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords import manifest, records
from metaf2n_tf.data.tfrecords.manifest import Manifest
from metaf2n_tf.errors import UserError
from metaf2n_tf.wording import counted

_BATCH = 64
_SHOWN = 48
_THUMBNAIL = 128


def _check_manifest(tfrecord: Path, described: Manifest | None, opened: records.RecordSet) -> str:
    if described is None:
        return "no .json beside it"
    if described.count != opened.count or described.cropping.size != opened.side:
        raise UserError(
            f"{tfrecord}: holds {opened.count} squares of {opened.side} pixels, its .json says {described.count} of "
            f"{described.cropping.size}"
        )
    for shard in described.shards:
        path = tfrecord.parent / shard.file
        if not path.is_file():
            raise UserError(f"{path}: is not there, but its .json names it. Remedy: make the set again")
        if files.sha256_of(path) != shard.sha256:
            raise UserError(f"{path}: its sha256 is not the one of its .json")
    return "as its .json says"


def _count_good(shard: str, side: int) -> int:
    """How many records of a damaged file come before the damage; one by one, as a batch with it gives none at all."""
    good = 0
    with contextlib.suppress(tf.errors.DataLossError, *records.NOT_OF_THE_SET):
        for example in tf.data.TFRecordDataset(shard):
            records.decode(example[None], side)
            good += 1
    return good


def check_set(tfrecord: Path) -> tuple[records.RecordSet, str]:
    """Read every record of a set.

    Returns:
      The set, and in words how it compares with its manifest.

    Raises:
      UserError: it is damaged, cut off, or not what its manifest says.
    """
    described = manifest.read(tfrecord)
    if described is not None and not described.complete:
        raise UserError(
            f"{tfrecord}: {len(described.shards)} of {described.num_shards} files are finished. Remedy: run the "
            "command that makes it again"
        )
    opened = records.open_set(str(tfrecord))
    for shard, expected in zip(opened.shards, opened.counts, strict=True):
        seen = 0
        dataset = tf.data.TFRecordDataset(shard, buffer_size=8 << 20).batch(_BATCH)
        try:
            with progress.of(Path(shard).name, expected) as advance:
                for examples in dataset:
                    records.decode(examples, opened.side)
                    seen += len(examples)
                    advance(len(examples))
        except tf.errors.DataLossError:
            good = counted(_count_good(shard, opened.side), "good record", "good records")
            raise UserError(f"{shard}: damaged after {good} of {expected}") from None
        except records.NOT_OF_THE_SET:
            good = counted(_count_good(shard, opened.side), "good record", "good records")
            raise UserError(f"{shard}: after {good} there is one that is no square of {opened.side} pixels") from None
        if seen != expected:
            raise UserError(f"{shard}: {seen} records where there is room for {expected}")
    return opened, _check_manifest(tfrecord, described, opened)


def contact_sheet(opened: records.RecordSet, seed: int = 0) -> np.ndarray:
    """Random crops of a set, side by side, uint8 RGB."""
    count = min(_SHOWN, opened.count)
    chosen = np.sort(np.random.default_rng(seed).choice(opened.count, count, replace=False))
    columns = math.ceil(math.sqrt(1.5 * count))
    side = _THUMBNAIL + 2
    sheet = np.full((math.ceil(count / columns) * side, columns * side, 3), 255, np.uint8)
    crops = opened.read(tf.data.Dataset.from_tensor_slices(chosen)).as_numpy_iterator()
    for index, crop in enumerate(crops):
        y, x = (1 + side * place for place in divmod(index, columns))
        thumbnail = cv2.resize(crop, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        sheet[y : y + _THUMBNAIL, x : x + _THUMBNAIL] = thumbnail
    return sheet
