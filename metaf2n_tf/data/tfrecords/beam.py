"""Write a set with Apache Beam, for pictures that outgrow one machine: the same crops, cut on any of its runners.

Pictures and sets lie on a file system that all the machines share; each needs this project on its Python path and
requirements-beam.txt. Beam shares the records out over the shards as it likes, so their order is its own.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
from apache_beam.io import WriteToText, WriteToTFRecord
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import TaggedOutput

from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords import encode, manifest, shards
from metaf2n_tf.data.tfrecords.crops import Cropping, TooSmall, cut_crops
from metaf2n_tf.data.tfrecords.local import Spelled, no_crops
from metaf2n_tf.data.tfrecords.manifest import Manifest, Shard
from metaf2n_tf.errors import Argument, UserError

_PROBLEMS = "problems"


# Beam would take a return type for that of every output.
def _encode_crops(picture: str, cropping: Cropping, spelled: Spelled):
    """Serialized examples; of a picture that gives none, why, as JSON."""
    try:
        for crop in cut_crops(Path(picture), cropping):
            yield encode.encode_example(crop)
    except UserError as error:
        kind = "too_small" if isinstance(error, TooSmall) else "unusable"
        yield TaggedOutput(_PROBLEMS, json.dumps([kind, picture, spelled(error)]))


def _run(
    runner: str,
    runner_options: Sequence[str],
    cropping: Cropping,
    spelled: Spelled,
    pictures: Sequence[str],
    sink,
    problems,
) -> None:
    with beam.Pipeline(runner, PipelineOptions(list(runner_options))) as pipeline:
        crops = (
            pipeline
            | "pictures" >> beam.Create(pictures)
            | "share out" >> beam.Reshuffle()
            | "cut" >> beam.FlatMap(_encode_crops, cropping, spelled).with_outputs(_PROBLEMS, main="crops")
        )
        _ = crops.crops | "write" >> sink
        _ = crops[_PROBLEMS] | "write problems" >> problems


def _read_problems(folder: Path) -> dict[str, dict[str, str]]:
    problems = {"too_small": {}, "unusable": {}}
    for path in sorted(folder.iterdir()):
        for line in path.read_text().splitlines():
            kind, picture, reason = json.loads(line)
            problems[kind][picture] = reason
    return problems


def _describe(path: Path, record_bytes: int) -> Shard:
    size = path.stat().st_size
    return Shard(path.name, size // record_bytes, size, files.sha256_of(path))


def write_set(
    tfrecord: Path,
    pictures: Sequence[str],
    wanted: Manifest,
    runner: str,
    runner_options: Sequence[str],
    spelled: Spelled = str,
) -> None:
    """Write the shards of a set and its manifest; nothing appears under its final name before all is done.

    Args:
      tfrecord: the set's name.
      pictures: what it is made of.
      wanted: what is to be made, to which the shards are added.
      runner: Beam's name of it, like `DirectRunner`.
      runner_options: its flags.
      spelled: puts into words why a picture gave nothing.

    Raises:
      UserError: there are no crops, no such runner or options, or the run failed.
    """
    stem, suffix = shards.split_name(os.path.abspath(tfrecord))
    template = "" if wanted.num_shards == 1 else "-SSSSS-of-NNNNN"
    sink = WriteToTFRecord(stem, file_name_suffix=suffix, num_shards=wanted.num_shards, shard_name_template=template)
    with tempfile.TemporaryDirectory(prefix=".problems-", dir=os.path.abspath(tfrecord.parent)) as scratch:
        problems = WriteToText(os.path.join(scratch, "part"))
        try:
            places = [os.path.abspath(picture) for picture in pictures]
            _run(runner, runner_options, wanted.cropping, spelled, places, sink, problems)
        except (Exception, SystemExit) as error:  # a runner may raise anything, and leaves at a wrong option
            reason = (str(error).strip().splitlines() or [""])[0]
            raise UserError(Argument("runner", runner), f": {type(error).__name__}: {reason}") from None
        found = _read_problems(Path(scratch))
    record_bytes = encode.encode_records(
        [np.empty((wanted.cropping.size,) * 2 + (wanted.cropping.channels,), np.uint8)]
    ).nbytes
    paths = [Path(path) for path in shards.shard_paths(str(tfrecord), wanted.num_shards)]
    wanted.shards = [_describe(path, record_bytes) for path in paths]
    wanted.shards[0].too_small, wanted.shards[0].unusable = found["too_small"], found["unusable"]
    if not wanted.count:
        for path in paths:
            path.unlink()
        raise no_crops(tfrecord, [*found["too_small"].values(), *found["unusable"].values()])
    manifest.write(tfrecord, wanted)
