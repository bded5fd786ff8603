"""Make the training sets: which pictures, what is there already, who writes them, what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from metaf2n_tf.cli import OK, SOME_FAILED, say
from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords import local, manifest, sources
from metaf2n_tf.data.tfrecords.manifest import Manifest
from metaf2n_tf.data.tfrecords.squares import Cutting
from metaf2n_tf.errors import UserError

_NAMED = 20  # pictures of each kind of problem that are named on the terminal; the manifest names them all


@dataclass(frozen=True)
class Request:
    """A set to make: its name, the folders, globs or files it is made of, and how squares are cut."""

    tfrecord: Path
    inputs: Sequence[str]
    cutting: Cutting


@dataclass(frozen=True)
class Options:
    """num_shards: files a set; workers: threads; limit: pictures a set, 0 for all; overwrite: make sets anew;
    runner: of Apache Beam, None for this process; runner_options: for it, like `--project=...`.
    """

    num_shards: int = 1
    workers: int = 1
    limit: int = 0
    overwrite: bool = False
    runner: str | None = None
    runner_options: Sequence[str] = ()


def _remove(tfrecord: Path, earlier: Manifest | None) -> None:
    manifest.place(tfrecord).unlink(missing_ok=True)
    for shard in [tfrecord.name, *(shard.file for shard in (earlier.shards if earlier else []))]:
        (tfrecord.parent / shard).unlink(missing_ok=True)


def _read_earlier(request: Request, wanted: Manifest, overwrite: bool) -> Manifest | None:
    """What an earlier run left of the same set."""
    tfrecord = request.tfrecord
    if overwrite:
        try:
            earlier = manifest.read(tfrecord)
        except UserError:
            earlier = None
        _remove(tfrecord, earlier)
        return None
    earlier = manifest.read(tfrecord)
    if earlier is None and tfrecord.exists():
        raise UserError(f"{tfrecord}: exists, and was not made here. Remedy: --overwrite, or another --output_dir")
    if earlier is not None and not earlier.is_of(wanted):
        raise UserError(
            f"{tfrecord}: exists, made of other pictures or with other settings. Remedy: --overwrite, or another "
            "--output_dir"
        )
    return earlier


def _report(request: Request, made: Manifest) -> int:
    for kind, what in (("unusable", "could not be used"), ("too_small", "smaller than the squares")):
        problems = made.problems(kind)
        for reason in list(problems.values())[:_NAMED]:
            say(f"skipped: {reason}")
        if len(problems) > _NAMED:
            say(f"... and {len(problems) - _NAMED} more, named in {manifest.place(request.tfrecord)}")
        if problems:
            say(f"{request.tfrecord.name}: {len(problems)} of {made.sources['pictures']} pictures {what}")
    size = made.cutting.size
    say(f"{request.tfrecord}: {made.count} squares of {size}x{size} pixels, in {made.num_shards} file(s)")
    return SOME_FAILED if made.problems("unusable") else OK


def _write(tfrecord: Path, pictures: Sequence[str], wanted: Manifest, options: Options) -> Manifest:
    if options.runner is None:
        return local.write_set(tfrecord, pictures, wanted, options.workers)
    logging.set_verbosity(logging.WARNING)
    try:
        from metaf2n_tf.data.tfrecords import beam
    except ImportError as error:
        raise UserError(f"--runner: {error}. Remedy: pip install -r requirements-beam.txt") from None
    return beam.write_set(tfrecord, pictures, wanted, options.runner, options.runner_options)


def _make(request: Request, options: Options) -> int:
    pictures = sources.list_pictures(request.inputs, options.limit)
    if options.num_shards > len(pictures):
        raise UserError(f"--num_shards {options.num_shards}: more than there are pictures ({len(pictures)})")
    described = {"inputs": list(request.inputs), "pictures": len(pictures), "sha256": sources.digest(pictures)}
    wanted = Manifest(request.cutting, described, options.num_shards)
    earlier = _read_earlier(request, wanted, options.overwrite)
    if earlier is not None:
        wanted.shards = [shard for shard in earlier.shards if shard.is_in(request.tfrecord.parent)]
    made = wanted if wanted.complete else _write(request.tfrecord, pictures, wanted, options)
    if not made.count:
        _remove(request.tfrecord, made)
    code = _report(request, made)
    if not made.count:
        raise UserError(f"{request.tfrecord}: none of the pictures gave a square, so there is no such file")
    return code


def run(requests: Sequence[Request], options: Options) -> int:
    """Make the sets one after the other; returns the exit code.

    Raises:
      UserError: no pictures, a set of that name is there already, or it cannot be written.
    """
    if not requests:
        raise UserError("nothing to do: give --background_input, --face_input or both")
    for request in requests:
        files.make_folder(request.tfrecord.parent)
    return max([_make(request, options) for request in requests])
