"""Write a set on this machine: threads decode and cut pictures ahead, one after the other goes to disk in order."""

import collections
import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf import progress
from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords import manifest
from metaf2n_tf.data.tfrecords.crops import Cropping, TooSmall, cut_crops
from metaf2n_tf.data.tfrecords.encode import encode_records
from metaf2n_tf.data.tfrecords.manifest import Manifest, Shard
from metaf2n_tf.data.tfrecords.shards import shard_paths
from metaf2n_tf.errors import UserError

# Written bytes that may stay in the page cache. It is told to drop them, as they are not read again here: reusing its
# pages is twice as fast as filling new ones, and the last fsync has little left to do.
_CACHED_BYTES = 1 << 27

Spelled = Callable[[UserError], str]


@dataclass(frozen=True)
class _Result:
    """The records of one picture, uint8 (N, bytes); too_small or unusable says why there are none."""

    records: np.ndarray
    too_small: str | None = None
    unusable: str | None = None


def _encode_picture(path: str, cropping: Cropping, spelled: Spelled) -> _Result:
    nothing = np.empty((0, 0), np.uint8)
    try:
        crops = list(cut_crops(Path(path), cropping))
    except TooSmall as error:
        return _Result(nothing, too_small=spelled(error))
    except UserError as error:
        return _Result(nothing, unusable=spelled(error))
    return _Result(encode_records(crops) if crops else nothing)


def map_in_order(function: Callable, items: Iterable, workers: int) -> Generator:
    """`function` of each item, in order; threads work ahead, but hold at most two results each."""
    if workers == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead = collections.deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) == 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()


def no_crops(path: Path, reasons: Sequence[str]) -> UserError:
    """The error that a set without any crop is."""
    first = f"; the first: {reasons[0]}" if reasons else ""
    return UserError(f"{path}: none of the pictures gave a square, so it was not written{first}")


def _write_shard(
    path: Path, pictures: Sequence[str], results: Iterator[_Result], advance: progress.Advance, alone: bool
) -> Shard:
    shard, sha256, cached = Shard(path.name, 0, 0, ""), hashlib.sha256(), 0
    with files.replacing(path) as part, part.open("wb") as stream:
        for picture in pictures:
            result = next(results)
            stream.write(result.records.data)
            sha256.update(result.records.data)
            shard.records += len(result.records)
            shard.bytes += result.records.nbytes
            if shard.bytes - cached >= _CACHED_BYTES:
                stream.flush()
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                cached = shard.bytes
            if result.too_small is not None:
                shard.too_small[picture] = result.too_small
            if result.unusable is not None:
                shard.unusable[picture] = result.unusable
            advance(1)
        if alone and not shard.records:
            raise no_crops(path, [*shard.too_small.values(), *shard.unusable.values()])
    shard.sha256 = sha256.hexdigest()
    return shard


def write_set(tfrecord: Path, pictures: Sequence[str], wanted: Manifest, workers: int, spelled: Spelled = str) -> None:
    """Write the shards of a set that are not there yet, and its manifest after each of them.

    Args:
      tfrecord: the set's name; of several shards, each has a name made of it.
      pictures: each shard holds the next part of them, so that the shards, one after the other, are the single file.
      wanted: what is to be made; `shards`: those finished earlier, to which the others are added.
      workers: threads.
      spelled: puts into words why a picture gave nothing.

    Raises:
      UserError: there are no crops, the disk is full, or the place cannot be written to.
    """
    total = wanted.num_shards
    shards = {shard.file: shard for shard in wanted.shards}
    paths = [Path(path) for path in shard_paths(str(tfrecord), total)]
    parts = {
        path: pictures[index * len(pictures) // total : (index + 1) * len(pictures) // total]
        for index, path in enumerate(paths)
        if path.name not in shards
    }
    waiting = [picture for part in parts.values() for picture in part]
    results = map_in_order(lambda picture: _encode_picture(picture, wanted.cropping, spelled), waiting, workers)
    try:
        with progress.of(tfrecord.name, len(waiting)) as advance:
            for path, part in parts.items():
                shards[path.name] = _write_shard(path, part, results, advance, alone=total == 1)
                wanted.shards = [shards[path.name] for path in paths if path.name in shards]
                manifest.write(tfrecord, wanted)
    except OSError as error:
        raise UserError(f"{tfrecord}: cannot be written: {error.strerror}") from None
    finally:
        results.close()
    if not wanted.count:
        for path in paths:
            path.unlink()
        raise no_crops(tfrecord, [*wanted.problems("too_small").values(), *wanted.problems("unusable").values()])
