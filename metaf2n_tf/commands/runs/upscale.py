"""`test.py`: for each photo of a folder, adapt to its faces and super-resolve it; what is there already stays."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import results, saved_weights
from metaf2n_tf.commands.runs.photos import process_all, say_turned
from metaf2n_tf.commands.runs.upscale_options import Options
from metaf2n_tf.commands.runs.upscale_report import REPORT, part_path, show_photo, write_page
from metaf2n_tf.commands.runs.upscale_session import Session
from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.upscale.photo_views import Reported
from metaf2n_tf.wording import counted


def _find_done(session: Session, names: list[Path], records: dict[str, dict] | None) -> set[Path]:
    """The photos whose results can stay as they are; said how many, and what is made anew and why.

    Where a folder has no records at all, its results are those of another program: they stay, too.
    """
    options, done, changed, anew = session.options, set(), set(), 0
    for name in [] if options.overwrite else names:
        if records is None:
            there = [
                *options.outputs(name).values(),
                *(session.saved.paths(name).values() if session.saved else ()),
            ]
            if not session.reported and all(path.is_file() for path in there):
                done.add(name)
        elif record := records.get(name.as_posix()):
            try:
                changes = session.changes(name, record)
            except OSError:  # said when the photo is processed
                continue
            if changes:
                anew += 1
                changed.update(changes)
            else:
                done.add(name)
    if done:
        have = counted(len(done), "photo has its", "photos have their")
        cli.say(f"{have} results already: skipped (--overwrite makes them anew)")
    if done and records is None and options.keeps_records:
        cli.say(f"note: there is no {results.NAME} beside them, so it is not known what they were made with")
    if anew:
        are = counted(anew, "photo is", "photos are")
        cli.say(f"{are} made anew, as these are not those of the record: {', '.join(sorted(changed))}")
    return done


def _check_places(options: Options, names: list[Path]) -> None:
    photos = {files.real(options.input_dir / name): name for name in names}
    for name in names:
        for result in map(files.real, options.outputs(name).values()):
            if result in photos:
                whose = "its result" if photos[result] == name else f"the result of {name}"
                photo = options.input_dir / photos[result]
                raise UserError(f"--output_dir {options.output_dir}: {photo} would be overwritten by {whose}")


def run(options: Options) -> int:
    """Super-resolve a folder of photos. Returns the exit code."""
    options.check()
    if options.keeps_records:
        input_dir, photos = folder.list_photos(
            options.input_dir, options.face_dir, options.output_dir, options.ext, options.recursive
        )
    else:
        input_dir, photos = options.input_dir.parent, [options.input_dir]
    single = options.input_dir.is_file()
    options = dataclasses.replace(options, input_dir=input_dir)
    names = [photo.relative_to(input_dir) for photo in photos]
    _check_places(options, names)
    if saved := saved_weights.of_options(options):
        saved.prepare(options, names, single)
    files.make_folder(options.output_dir)
    with files.alone_in(options.output_dir) if options.keeps_records else contextlib.nullcontext():
        device = runtime.select_device(options.gpu)
        reported = Reported(options.gt_dir, options.recursive) if options.report else None
        session = Session(options, device, reported, names)
        found = results.read_results(options.output_dir) if options.keeps_records else None
        done, records = _find_done(session, names, found), found or {}
        todo = [photo for photo, name in zip(photos, names, strict=True) if name not in done]
        failed = 0
        if todo and session.faces:
            session.faces.load()
        if todo and options.together:
            failed = _process_together(session, photos, todo, records)
        elif todo:
            failed = _process(session, todo, records)
        if reported:
            parts = {part_path(options.output_dir, name): records.get(name.as_posix(), {}) for name in names}
            there = {path: record for path, record in parts.items() if path.is_file()}
            settings = [*session.names, *session.settings]
            write_page(options.output_dir / REPORT, options.output_dir, there, settings)
    return cli.SOME_FAILED if failed else cli.OK


def _in_words(name: Path, record: dict) -> str:
    """What is said of a photo whose result is there."""
    losses = [f"{loss:.5f}" for loss in record["losses"] if loss is not None]
    loss = f", loss {losses[0]} -> {losses[-1]}" if losses else ""
    return f"{name}: {counted(record['faces'], 'face', 'faces')}{loss}"


def _process_together(session: Session, photos: list[Path], todo: list[Path], records: dict[str, dict]) -> int:
    """As `_process`, once all photos are adapted to together."""
    with tempfile.TemporaryDirectory(prefix="metaf2n-faces-") as place:
        usable, failed = session.gather(photos, todo, Path(place))
        return failed + (_process(session, usable, records) if usable else 0)


def _process(session: Session, photos: list[Path], records: dict[str, dict]) -> int:
    """Make the results of these photos, and their records among the others. Returns how many failed."""
    options, without_face = session.options, []

    def process(photo: Path) -> str:
        name = photo.relative_to(options.input_dir)
        pictures, computed = session.compute(name)
        record, part = computed.record, part_path(options.output_dir, name)
        outputs = {path: pictures[variant] for variant, path in options.outputs(name).items()}
        if session.reported:
            added, outputs[part] = show_photo(computed, session.model, session.reported)
            record |= added
        # A photo counts as done once its record is there: an old one goes first, the new one comes last.
        if records.pop(record["photo"], None):
            results.write_results(options.output_dir, records)
        files.remove(part)
        if session.saved:
            record["saved_weights"] = session.saved.there(name)
        for path, content in outputs.items():
            files.make_folder(path.parent)
            files.write_bytes(path, content)
        records[record["photo"]] = record
        if options.keeps_records:
            results.write_results(options.output_dir, records)
        if not record["faces"]:
            without_face.append(photo)
        return _in_words(name, record)

    failed = process_all(photos, process)
    looks_for_faces = options.adapts or session.finishing.pastes
    note = f", {len(without_face)} of them without a face" if looks_for_faces else ""
    cli.say(f"{counted(len(photos) - failed, 'photo is', 'photos are')} in {options.output_dir}{note}")
    if session.faces and options.face_dir is None:
        say_turned(without_face)
    return failed
