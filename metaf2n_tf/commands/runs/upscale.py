"""`test.py`: for each photo of a folder, adapt to its faces and super-resolve it."""

import contextlib
import copy
import dataclasses
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import deciding, results, saved_weights
from metaf2n_tf.commands.runs.adapting import Alone, Prepared, Together, album_identity
from metaf2n_tf.commands.runs.deciding import APART, BY_CONTENT
from metaf2n_tf.commands.runs.loading import load_model
from metaf2n_tf.commands.runs.photos import process_all, say_turned
from metaf2n_tf.commands.runs.upscale_report import (
    REPORT,
    Computed,
    Finished,
    Variant,
    part_path,
    show_photo,
    write_page,
)
from metaf2n_tf.data import encoding, files, formats, images
from metaf2n_tf.data.formats import FORMATS
from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.finish import outscale
from metaf2n_tf.finish.finishing import Finishing
from metaf2n_tf.finish.paste import check_strength
from metaf2n_tf.networks import sr
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.upscale import album, steps
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.patches import check_patches
from metaf2n_tf.upscale.photo_views import Reported
from metaf2n_tf.upscale.steps import Steps
from metaf2n_tf.weights.writing import say_what_stays
from metaf2n_tf.wording import counted


@dataclass(frozen=True)
class Options:
    """The flags of `test.py`; those without a role in their metadata decide the pixels.

    suffix: what results are called after their photos' names; with one they lie beside the photos, without records.
    None finds and restores the faces (face_dir), takes the weights' own default (task_lr, tile_pad) or the weights of
    those who name none (model_dir), or writes with a format's default, or one that loses nothing (quality).
    """

    input_dir: Path = field(metadata=APART)
    face_dir: Path | None = field(metadata=BY_CONTENT)
    output_dir: Path = field(metadata=APART)
    model_dir: Path | None = field(metadata=BY_CONTENT)
    blend: str | None = field(metadata=BY_CONTENT)
    patch_size: int
    patch_num_per_img: int
    fine_tune_num: list[Steps]
    strength: list[float]
    task_lr: float | None
    seed: int
    tile: int
    tile_pad: int | None
    precision: str
    detector: str | None
    restorer: str | None
    min_face: int
    paste_faces: bool
    paste_strength: float
    color_fix: str
    recursive: bool = field(metadata=APART)
    ext: list[str] = field(metadata=APART)
    overwrite: bool = field(metadata=APART)
    report: bool = field(metadata=APART)
    gt_dir: Path | None = field(metadata=APART)
    gpu: str | None = field(metadata=APART)
    suffix: str = field(default="", metadata=APART)
    outscale: float = SCALE
    format: str = "png"
    quality: int | None = None
    adapt: str = album.PER_PHOTO
    save_weights: Path | None = field(default=None, metadata=APART)

    def check(self) -> None:
        """Raise a UserError for values that make no sense."""
        check_patches(self.patch_size, self.patch_num_per_img)
        if self.gt_dir is not None and not self.report:
            measures = f"{places.command('metrics')} measures results that are there"
            raise UserError(f"--gt_dir: is for --report; {measures}")
        if len(self.fine_tune_num) > 1 and any(map(steps.is_auto, self.fine_tune_num)):
            raise UserError("--fine_tune_num auto: stands alone, as it keeps patches out of the steps that others use")
        if self.suffix and self.report:
            raise UserError(Argument("report"), ": needs a folder. Remedy: ", Argument("output_dir"))
        if self.save_weights is not None and not self.adapts:
            raise UserError(
                Argument("save_weights", self.save_weights),
                f": nothing is adapted. Remedy: {places.command('export')} for the weights as they are",
            )
        steps.check_task_lr([] if self.task_lr is None else [self.task_lr])
        steps.check_strength(self.strength)
        check_strength(self.paste_strength)
        if self.paste_strength != 1 and not self.paste_faces:
            raise UserError(Argument("paste_strength"), ": is for ", Argument("paste_faces"))
        outscale.check(self.outscale)
        formats.quality_of(self.format, self.quality)
        folder.check_face_dir(self.face_dir)

    @property
    def keeps_records(self) -> bool:
        """Whether the results have a folder of their own, with records and no other run at the same time."""
        return not self.suffix

    @property
    def adapts(self) -> bool:
        """Whether any result may be adapted."""
        return steps.most_steps(self.fine_tune_num) > 0 and max(self.strength) > 0

    @property
    def finishing(self) -> Finishing:
        """What is done to the x4 pictures."""
        return Finishing(self.paste_strength if self.paste_faces else 0, self.color_fix, self.outscale)

    @property
    def together(self) -> bool:
        """Whether all photos are adapted to at once."""
        return self.adapts and self.adapt != album.PER_PHOTO

    @property
    def variants(self) -> dict[Variant, Path]:
        """All that is made of a photo, and the folder it goes to: named by what there are several of."""
        folders = {}
        for number in self.fine_tune_num:
            for strength in self.strength:
                several = [f"steps_{number}"] if len(self.fine_tune_num) > 1 else []
                several += [f"strength_{strength:g}"] if len(self.strength) > 1 else []
                folders[number, strength] = self.output_dir / "-".join(several)
        return folders


class Session:
    """What one run of `test.py` builds once: weights, compiled functions, detector and restorer, metrics.

    settings: everything that decides the pixels, as it is written to every record; names: where it is from.
    """

    def __init__(self, options: Options, device: str, reported: Reported | None, names: Sequence[Path] = ()):
        """`names` are the photos of the run, which decide an album's results."""
        self.options, self.reported, self.saved = options, reported, saved_weights.of_options(options)
        self.model = load_model(options, device)
        if self.saved:
            say_what_stays(self.saved.file, self.model.weights)
        self.finishing = options.finishing
        self._lost: set[str] = set()
        weights = self.model.weights
        cli.say(f"task_lr: {f'{options.task_lr:g}' if options.task_lr else weights.task_lr_in_words}")
        how = f"precision {options.precision}, tiles of {options.tile}"
        cli.say(f"device: {device}, adaptation in {self.model.mode} mode, {how}")
        self.faces = None
        if options.face_dir is not None or options.adapts or self.finishing.pastes:
            self.faces = FaceSource(options.face_dir, options.detector, options.restorer, self.model, options.min_face)
        self.adapting: Alone | Together = Alone(options, self.model, self.faces)
        self.settings = deciding.settings_of(options, self.model, self.faces, device)
        if options.together:
            self.settings["album"] = album_identity(names, self.inputs)
        self.names = deciding.names_of(options)

    def turned_to(self, options: Options, faces: FaceSource) -> "Session":
        """The same weights and compiled functions for other options of theirs, and other faces."""
        other = copy.copy(self)
        other.options, other.faces, other.finishing = options, faces, options.finishing
        other.adapting = Alone(options, self.model, faces)
        other.settings = deciding.settings_of(options, self.model, faces, self.settings["device"])
        other.names = deciding.names_of(options)
        return other

    def inputs(self, name: Path) -> dict:
        """What tells whether a photo and its faces are those of a record; an OSError where they cannot be read."""
        photo = files.crc32_of(self.options.input_dir / name)
        return {"photo": photo, "faces": self.faces.inputs(name) if self.faces else []}

    def changes(self, name: Path, record: dict) -> list[str]:
        """What a photo's record says otherwise than this run would; nothing where its results can stay.

        A result counts by its content, and for a report also its part, with the metrics and the ground truth of now.
        """
        expected = self.settings | {"inputs": self.inputs(name), "results": _results_there(self.options, name)}
        if self.saved:
            expected["saved_weights"] = self.saved.there(name)
        if self.reported:
            there = part_path(self.options.output_dir, name).is_file()
            expected["reported"] = self.reported.inputs(name) if there else None
        return [key for key, value in plain(expected).items() if key not in record or record[key] != value]

    def gather(self, photos: Sequence[Path], todo: Sequence[Path], place: Path) -> tuple[list[Path], int]:
        """Adapt to all photos at once, unless none of those that are to do can be used.

        Args:
          photos: of the run.
          todo: those whose results are to be made.
          place: an empty folder.

        Returns:
          Those to do that can be used, and how many of all photos cannot.
        """
        together = Together(self.options, self.model, self.faces, self.inputs, place)
        usable, failed = together.gather(todo, sorted(set(photos) - set(todo)))
        if usable:
            together.adapt(self.saved)
            self.settings["album"], self.adapting = together.identity, together
        return usable, failed

    def _upscale(
        self, prepared: Prepared, photo: images.Photo
    ) -> tuple[dict[Variant, Finished], dict[Steps, int], dict[Variant, sr.Params]]:
        """`{variant: levels}` of those asked for, and of no step for the report; the numbers of steps in use; the
        weights of each variant that are to be saved with the photo.

        The picture of the unadapted weights is made once.
        """
        unadapted: list[Finished] = []
        reports_without = self.options.report and self.finishing.pastes

        def upscale(params: sr.Params) -> Finished:
            if params is self.model.unadapted and unadapted:
                return unadapted[0]
            levels = self.model.upscale(photo.rgb, params, photo.depth)
            without = self.finishing.without_faces()(levels, photo) if reports_without else None
            finished = Finished(self.finishing(levels, photo, prepared.faces), without)
            if params is self.model.unadapted:
                unadapted.append(finished)
            return finished

        levels: dict[Variant, Finished] = {}
        if self.options.report:
            levels[0, 1.0] = upscale(self.model.unadapted)
        used: dict[Steps, int] = {}
        own: dict[Variant, sr.Params] = {}
        for asked, number, params in prepared.results:
            used[asked] = number
            for strength in self.options.strength:
                weights = prepared.adaptation.at_strength(params, strength)
                levels[asked, strength] = upscale(weights)
                if self.saved and not self.options.together:
                    own[asked, strength] = weights
        return levels, used, own

    def compute(self, name: Path) -> tuple[dict[Variant, bytes], Computed]:
        """Adapt to one photo and super-resolve it.

        Args:
          name: its path relative to the input folder.

        Returns:
          `{variant: encoded picture}`, and what they come of.

        Raises:
          UserError: the photo or one of its faces cannot be used.
        """
        options, began = self.options, time.monotonic()
        try:
            inputs = self.inputs(name)
        except OSError as error:
            path = error.filename or options.input_dir / name
            raise UserError(f"{path}: not a readable picture ({error.strerror})") from None
        photo = images.read_photo(options.input_dir / name, max(SCALE, options.outscale))
        formats.check_result_size(options.format, *outscale.result_size(photo.size, options.outscale))
        prepared = self.adapting.prepare(name, photo)
        levels, used, weights = self._upscale(prepared, photo)
        alpha = self.finishing.alpha(photo)
        pictures = {
            variant: encoding.encode(levels[variant].levels, alpha, photo, options.format, options.quality)
            for variant in options.variants
        }
        adaptation, pasted = prepared.adaptation, sum(face.place is not None for face in prepared.faces)
        self._say_lost(name, photo)
        note = self._note(name, prepared, used)
        paths = _output_paths(options, name)
        record = {
            "photo": name.as_posix(),
            "size": list(photo.size),
            "faces": prepared.count,
            "faces_pasted": pasted if self.finishing.pastes else 0,
            "patches": adaptation.patches,
            "adapted": options.adapts and max(used.values()) > 0,
            "steps_used": used,
            "losses": _numbers(adaptation.losses),
            "held_out_losses": _numbers(adaptation.held_out_losses),
            "mean_weight": adaptation.mean_weight,
            "note": note,
            "tile_used": self.model.resolver.used_tile,
            "precision_used": self.model.resolver.used_precision,
            "seconds": round(time.monotonic() - began, 2),
            "inputs": inputs,
            "results": {_in_output(options, paths[key]): zlib.crc32(content) for key, content in pictures.items()},
            **self.names,
            **self.settings,
        }
        pairs = [face.pair for face in prepared.faces]
        return pictures, Computed(name, photo, pairs, adaptation, levels, weights, record)

    def _say_lost(self, name: Path, photo: images.Photo) -> None:
        """What the format cannot keep of a photo, once for all photos of which the same is to be said."""
        if lost := [loss for loss in encoding.losses(photo, self.options.format) if loss not in self._lost]:
            cli.say(f"{name}: as {FORMATS[self.options.format].title}, {'; '.join(lost)} (said once)")
        self._lost.update(lost)

    def _note(self, name: Path, prepared: Prepared, used: dict[Steps, int]) -> str | None:
        """What a user must know of a photo's results; it is said, unless it was said of the whole album."""
        notes = [self.adapting.note(name, prepared.adaptation, used)]
        lost = sum(face.place is None for face in prepared.faces)
        if lost and self.finishing.pastes:
            are = counted(lost, "face of its folder is", "faces of its folder are")
            notes.append(f"{are} no part of the photo, so not pasted")
            cli.say(f"{name}: {notes[-1]}")
        return "; ".join(filter(None, notes)) or None


def _numbers(losses: Sequence[float]) -> list[float | None]:
    return [loss if np.isfinite(loss) else None for loss in losses]


def _output_paths(options: Options, name: Path) -> dict[Variant, Path]:
    """Where a photo's results go: OUTPUT/NAME.png, or OUTPUT/steps_N/NAME.png and so on for several."""
    result = name.with_name(f"{name.stem}{options.suffix}.{options.format}")
    return {variant: place / result for variant, place in options.variants.items()}


def _in_output(options: Options, path: Path) -> str:
    return path.relative_to(options.output_dir).as_posix()


def _results_there(options: Options, name: Path) -> dict[str, int | None]:
    """The checksums of a photo's results on disk, None for one that is not there."""
    paths = _output_paths(options, name).values()
    return {_in_output(options, path): files.crc32_of(path) if path.is_file() else None for path in paths}


def _find_done(session: Session, names: list[Path], records: dict[str, dict] | None) -> set[Path]:
    """The photos whose results can stay as they are; said how many, and what is made anew and why.

    Where a folder has no records at all, its results are those of another program: they stay, too.
    """
    options, done, changed, anew = session.options, set(), set(), 0
    for name in [] if options.overwrite else names:
        if records is None:
            there = [
                *_output_paths(options, name).values(),
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
        for result in map(files.real, _output_paths(options, name).values()):
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
        saved.check(options, names, single)
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
        outputs = {path: pictures[variant] for variant, path in _output_paths(options, name).items()}
        if session.reported:
            added, outputs[part] = show_photo(computed, session.model, session.reported)
            record |= added
        # A photo counts as done once its record is there: an old one goes first, the new one comes last.
        if records.pop(record["photo"], None):
            results.write_results(options.output_dir, records)
        files.remove(part)
        if session.saved:
            session.saved.write(name, computed.weights, session.model.weights)
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
