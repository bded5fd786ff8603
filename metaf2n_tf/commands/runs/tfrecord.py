"""Make the training sets: which pictures, what is there already, who writes them, what became of them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metaf2n_tf import places
from metaf2n_tf.commands.cli import OK, SOME_FAILED, say, spelled
from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords import local, manifest, shards, sources
from metaf2n_tf.data.tfrecords.crops import Cropping, parsing_map
from metaf2n_tf.data.tfrecords.manifest import Manifest
from metaf2n_tf.errors import UserError, one_line

_NAMED = 20  # pictures of each kind of problem that are named on the terminal; the manifest names them all


@dataclass(frozen=True)
class Request:
    """A set to make: its name, the folders, globs or files it is made of, and how crops are cut."""

    tfrecord: Path
    inputs: Sequence[str]
    cropping: Cropping


@dataclass(frozen=True)
class Options:
    """How sets are made.

    num_shards: files a set; workers: threads; limit: pictures a set, 0 for all; overwrite: make sets anew, and remove
    what they take the place of; runner: of Apache Beam, None for this process; runner_options: for it, like
    `--project=...`.
    """

    num_shards: int = 1
    workers: int = 1
    limit: int = 0
    overwrite: bool = False
    runner: str | None = None
    runner_options: Sequence[str] = ()


@dataclass(frozen=True)
class _Plan:
    """A set to make: of which pictures, and its manifest with the shards that are finished."""

    request: Request
    pictures: Sequence[str]
    wanted: Manifest

    def others(self, planned: bool = False) -> list[Path]:
        """Files that lie there under the set's name and are none of its own; planned: those, too."""
        tfrecord = self.request.tfrecord
        own = set() if planned else set(shards.shard_paths(tfrecord.name, self.wanted.num_shards))
        return [
            path for path in sorted(tfrecord.parent.iterdir()) if path.name not in own and shards.is_of(path, tfrecord)
        ]


def _parsing_maps(pictures: Sequence[str], parsing_dir: str) -> list[str]:
    """Those that are there; a face without one is reported when its turn comes."""
    if not Path(parsing_dir).is_dir():
        raise UserError(f"--parsing_dir {parsing_dir}: no such folder")
    owners = {}
    for picture in pictures:
        other = owners.setdefault(Path(picture).stem, picture)
        if other != picture:
            raise UserError(f"--parsing_dir {parsing_dir}: {other} and {picture} would share a parsing map")
    places = [parsing_map(picture, parsing_dir) for picture in pictures]
    return [str(place) for place in places if place.is_file()]


def _plan(request: Request, options: Options) -> _Plan:
    """What is to be done, and what of it is done. Raises a UserError where another set lies in the way."""
    pictures = sources.list_pictures(request.inputs, options.limit)
    if options.num_shards > len(pictures):
        raise UserError(f"--num_shards {options.num_shards}: more than there are pictures ({len(pictures)})")
    parsing_dir = request.cropping.parsing_dir
    read = [*pictures, *(_parsing_maps(pictures, parsing_dir) if parsing_dir else ())]
    described = {"inputs": list(request.inputs), "pictures": len(pictures), "sha256": sources.digest(read)}
    plan = _Plan(request, pictures, Manifest(request.cropping, described, options.num_shards))
    if options.overwrite:
        return plan
    earlier = manifest.read(request.tfrecord)
    remedy = "Remedy: --overwrite, or another --output_dir"
    if earlier is None and plan.others(planned=True):
        raise UserError(f"{request.tfrecord}: exists, and was not made here. {remedy}")
    if earlier is not None and (not earlier.is_of(plan.wanted) or plan.others()):
        raise UserError(f"{request.tfrecord}: exists, made of other pictures or with other settings. {remedy}")
    if earlier is not None:
        plan.wanted.shards = [shard for shard in earlier.shards if shard.is_in(request.tfrecord.parent)]
    return plan


def _report(request: Request, made: Manifest) -> int:
    for kind, what in (("unusable", "could not be used"), ("too_small", "smaller than the squares")):
        problems = made.problems(kind)
        for reason in list(problems.values())[:_NAMED]:
            say(f"skipped: {one_line(reason)}")
        if len(problems) > _NAMED:
            say(f"... and {len(problems) - _NAMED} more, named in {manifest.place(request.tfrecord)}")
        if problems:
            say(f"{request.tfrecord.name}: {len(problems)} of {made.sources['pictures']} pictures {what}")
    size = made.cropping.size
    say(f"{request.tfrecord}: {made.count} squares of {size}x{size} pixels, in {made.num_shards} file(s)")
    return SOME_FAILED if made.problems("unusable") else OK


def _write(tfrecord: Path, pictures: Sequence[str], wanted: Manifest, options: Options) -> None:
    if options.runner is None:
        local.write_set(tfrecord, pictures, wanted, options.workers, spelled)
        return
    try:
        from metaf2n_tf.data.tfrecords import beam
    except ImportError as error:
        raise UserError(f"--runner: {error}. Remedy: {places.extra('beam')}") from None
    beam.write_set(tfrecord, pictures, wanted, options.runner, options.runner_options, spelled)


def _make(plan: _Plan, options: Options) -> int:
    tfrecord, wanted = plan.request.tfrecord, plan.wanted
    if not wanted.complete:
        described = manifest.place(tfrecord)
        if not described.exists():  # so that what a killed run leaves is known to be ours
            manifest.write(tfrecord, wanted)
        try:
            _write(tfrecord, plan.pictures, wanted, options)
        finally:
            if not wanted.count and not plan.others(planned=True):
                described.unlink(missing_ok=True)
        for path in plan.others():
            path.unlink()
    return _report(plan.request, wanted)


def run(requests: Sequence[Request], options: Options) -> int:
    """Make the sets one after the other; returns the exit code.

    Raises:
      UserError: no pictures, a set of that name is there already, or it cannot be written.
    """
    if not requests:
        raise UserError("nothing to do: give --background_input, --face_input or both")
    try:
        with contextlib.ExitStack() as locks:
            for folder in {request.tfrecord.parent for request in requests}:
                files.make_folder(folder)
                locks.enter_context(files.alone_in(folder))
            plans = [_plan(request, options) for request in requests]
            return max([_make(plan, options) for plan in plans])
    except OSError as error:
        raise UserError(f"{error.filename or requests[0].tfrecord.parent}: {error.strerror}") from None
