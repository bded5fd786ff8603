"""`test.py`: for each photo of a folder, adapt to its faces and super-resolve it."""

import dataclasses
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metaf2n_tf import __version__, cli, runtime
from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.photos import process_all, say_turned
from metaf2n_tf.report import page, parts
from metaf2n_tf.upscale import results, showing
from metaf2n_tf.upscale.adaptation import Adaptation
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.upscale.patches import check_patches, used_whole
from metaf2n_tf.upscale.showing import Reported
from metaf2n_tf.weights.load import choose_weights

REPORT, PARTS = "report.html", "report_parts"


@dataclass(frozen=True)
class Options:
    """The flags of `test.py`.

    None finds and restores the faces (face_dir), takes the weights' own default (task_lr, tile_pad) or the weights of
    those who name none (model_dir).
    """

    input_dir: Path
    face_dir: Path | None
    output_dir: Path
    model_dir: Path | None
    blend: str | None
    patch_size: int
    patch_num_per_img: int
    fine_tune_num: list[int]
    task_lr: float | None
    seed: int
    tile: int
    tile_pad: int | None
    precision: str
    detector: str | None
    restorer: str | None
    recursive: bool
    ext: list[str]
    overwrite: bool
    report: bool
    gt_dir: Path | None
    gpu: str | None

    def check(self) -> None:
        """Raise a UserError for values that make no sense."""
        check_patches(self.patch_size, self.patch_num_per_img)
        if self.gt_dir is not None and not self.report:
            raise UserError("--gt_dir: is for --report; calculate_metrics.py measures results that are there")
        if self.task_lr is not None and not self.task_lr > 0:
            raise UserError(f"--task_lr {self.task_lr}: a positive number")
        folder.check_face_dir(self.face_dir)


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: `{steps: encoded PNG}`, its record, and its part of the report if one is asked for."""

    pictures: dict[int, bytes]
    record: dict
    part: bytes | None


class Session:
    """What one run of `test.py` builds once: weights, compiled functions, detector and restorer, metrics."""

    def __init__(self, options: Options, device: str, num_photos: int, reported: Reported | None):
        self.options, self.device, self.reported = options, device, reported
        xla = runtime.xla_pays(self.device, num_photos * max(options.fine_tune_num))
        model_dir, why = choose_weights(options.model_dir)
        self.model = MetaF2N(
            model_dir,
            tile=options.tile,
            tile_pad=options.tile_pad,
            blend=options.blend,
            precision=options.precision,
            xla=xla,
        )
        self.mode = self.model.mode
        weights = self.model.weights
        cli.say(f"weights: {weights}{why}")
        cli.say(f"task_lr: {f'{options.task_lr:g}' if options.task_lr else weights.task_lr_in_words}")
        cli.say(f"device: {self.device}, adaptation in {self.mode} mode, {options.precision}, tiles of {options.tile}")
        self.faces = None
        if options.face_dir is not None or max(options.fine_tune_num) > 0:
            self.faces = FaceSource(options.face_dir, options.detector, options.restorer, self.model)

    def _settings(self) -> dict:
        """Everything that decides the pixels, as it is written to every record."""
        settings = dataclasses.asdict(self.options)
        for name in ("input_dir", "output_dir", "recursive", "ext", "overwrite", "report", "gt_dir", "gpu"):
            del settings[name]
        faces = self.faces.settings if self.faces else {"face_dir": None, "detector": None, "restorer": None}
        return (
            settings
            | faces
            | {
                "model_dir": None if self.options.model_dir is None else str(self.options.model_dir),
                "weights": self.model.weights.identity,
                "weights_kind": self.model.weights.kind,
                "task_lr": self.options.task_lr or self.model.weights.task_lr_on_record,
                "tile": self.model.resolver.tile,
                "tile_pad": self.model.tile_pad,
                "device": self.device,
                "mode": self.mode,
                "version": __version__,
            }
        )

    def _upscale(self, adaptation: Adaptation, photo: images.Photo) -> dict[int, np.ndarray]:
        """`{steps: levels}` of the numbers of steps asked for, and of 0 for the report; equal weights are used once."""
        asked, levels, last = set(self.options.fine_tune_num), {}, (None, None)
        for steps, params in adaptation.trajectory(sorted(asked | {0} if self.options.report else asked)):
            if params is not last[0]:
                last = params, self.model.upscale(photo.rgb, params, photo.depth)
            levels[steps] = last[1]
        return levels

    def process(self, name: Path) -> Outcome:
        """Adapt to one photo and super-resolve it.

        Args:
          name: its path relative to the input folder.

        Raises:
          UserError: the photo or one of its faces cannot be used.
        """
        options, began = self.options, time.monotonic()
        photo = images.read_photo(options.input_dir / name, SCALE)
        pairs = self.faces.pairs(name, photo.rgb) if self.faces else []
        if used_whole(pairs, options.patch_size):
            cli.say(f"{name}: no face is larger than --patch_size {options.patch_size}, so the first one is used whole")
        adaptation = self.model.adapt(
            pairs,
            task_lr=options.task_lr,
            patch_size=options.patch_size,
            patch_num_per_img=options.patch_num_per_img,
            seed=[options.seed, zlib.crc32(os.fsencode(name))],
        )
        levels = self._upscale(adaptation, photo)
        alpha = None if photo.alpha is None else _upscale_alpha(photo)
        pictures = {steps: images.encode_png(levels[steps], alpha, photo) for steps in options.fine_tune_num}
        note = self._note(adaptation)
        if note:
            cli.say(f"{name}: {note}")
        record = {
            "photo": name.as_posix(),
            "size": list(photo.size),
            "faces": len(pairs),
            "patches": adaptation.patches,
            "adapted": adaptation.patches > 0 and adaptation.finite and max(options.fine_tune_num) > 0,
            "losses": [loss if np.isfinite(loss) else None for loss in adaptation.losses],
            "mean_weight": adaptation.mean_weight,
            "seconds": round(time.monotonic() - began, 2),
            **self._settings(),
        }
        part = None
        if self.reported:
            views = self._views(name, photo, levels)
            record["reported"] = self.reported.inputs(name)
            record["metrics"] = {view.label: view.metrics for view in views if view.metrics}
            losses = [parts.Losses("inner loss", adaptation.losses)] if adaptation.losses else []
            faces = showing.show_faces(self.model, pairs)
            part = parts.encode(parts.PhotoReport(name.as_posix(), photo.size, views, faces, losses, record, note))
        return Outcome(pictures, record, part)

    def _note(self, adaptation: Adaptation) -> str | None:
        if max(self.options.fine_tune_num) == 0:
            return None
        if not adaptation.patches:
            return "no face, so super-resolved unadapted"
        if not adaptation.finite:
            return "the loss became non-finite, so the unadapted weights are used. Remedy: a lower --task_lr"
        return None

    def _views(self, name: Path, photo: images.Photo, levels: dict[int, np.ndarray]) -> list[parts.View]:
        pictures = {showing.BICUBIC: showing.bicubic(photo)}
        for steps, picture in levels.items():
            pictures[showing.step_label(steps)] = images.as_written(picture, photo)
        gt = showing.read_gt(self.reported.gts, name, photo.size)
        return showing.make_views(pictures, gt, self.reported.measurer)


def _upscale_alpha(photo: images.Photo) -> np.ndarray:
    height, width = photo.size
    size = (SCALE * width, SCALE * height)
    return images.to_levels(cv2.resize(photo.alpha, size, interpolation=cv2.INTER_CUBIC), photo.depth)


def _output_paths(options: Options, photo: Path) -> dict[int, Path]:
    """Where a photo's results go, for each number of steps: OUTPUT/NAME.png, or OUTPUT/steps_N/NAME.png for several."""
    name = photo.relative_to(options.input_dir).with_suffix(".png")
    if len(options.fine_tune_num) == 1:
        return {options.fine_tune_num[0]: options.output_dir / name}
    return {steps: options.output_dir / f"steps_{steps}" / name for steps in options.fine_tune_num}


def _part_path(options: Options, photo: Path) -> Path:
    return files.fitting(options.output_dir / PARTS / photo.relative_to(options.input_dir).with_suffix(".json"))


def _is_done(options: Options, photo: Path, records: dict[str, dict] | None, reported: Reported | None) -> bool:
    """Whether all of a photo's results are there, and its record where the folder has records at all.

    For a report also its part, with the metrics and the ground truth of now.
    """
    name = photo.relative_to(options.input_dir)
    if records is not None and name.as_posix() not in records:
        return False
    if reported and not _part_path(options, photo).is_file():
        return False
    if reported and (records or {}).get(name.as_posix(), {}).get("reported") != reported.inputs(name):
        return False
    return all(map(os.path.isfile, _output_paths(options, photo).values()))


def _say_done(options: Options, done: list[Path], records: dict[str, dict]) -> None:
    """Say which photos are skipped, and whether they were made in another way."""
    asked = dataclasses.asdict(options)
    deciding = ("fine_tune_num", "patch_size", "patch_num_per_img", "seed", "precision")
    kept = [records.get(photo.relative_to(options.input_dir).as_posix(), {}) for photo in done]
    same = [
        all(record.get(name) == asked[name] for name in deciding)
        and record.get("model_dir") == (None if options.model_dir is None else str(options.model_dir))
        and record.get("blend") == options.blend
        and options.task_lr in (None, record.get("task_lr"))
        and record.get("face_dir") == (None if options.face_dir is None else str(options.face_dir))
        and options.detector in (None, record.get("detector"))
        and options.restorer in (None, record.get("restorer"))
        for record in kept
    ]
    have = cli.counted(len(done), "photo has its", "photos have their")
    cli.say(f"{have} results already: skipped (--overwrite makes them anew)")
    if not all(same):
        cli.say(f"note: {same.count(False)} of them were made with other settings or by another program")


def _check_places(options: Options, photos: list[Path]) -> None:
    for photo in photos:
        if files.real(photo) in map(files.real, _output_paths(options, photo).values()):
            raise UserError(f"--output_dir {options.output_dir}: {photo} would be overwritten by its result")


def run(options: Options) -> int:
    """Super-resolve a folder of photos. Returns the exit code."""
    options.check()
    places = options.input_dir, options.face_dir, options.output_dir
    input_dir, photos = folder.list_photos(*places, options.ext, options.recursive)
    options = dataclasses.replace(options, input_dir=input_dir)
    _check_places(options, photos)
    files.make_folder(options.output_dir)
    with files.alone_in(options.output_dir):
        device = runtime.select_device(options.gpu)
        reported = Reported(options.gt_dir, options.recursive) if options.report else None
        found = results.read_results(options.output_dir)
        done = [photo for photo in photos if not options.overwrite and _is_done(options, photo, found, reported)]
        records = found or {}
        if done:
            _say_done(options, done, records)
        kept = set(done)
        todo = [photo for photo in photos if photo not in kept]
        session = Session(options, device, len(todo), reported) if todo else None
        failed = _process(session, todo, records) if session else 0
        if reported:
            _write_report(options, photos, records)
    return cli.SOME_FAILED if failed else cli.OK


def _process(session: Session, photos: list[Path], records: dict[str, dict]) -> int:
    """Make the results of these photos, and their records among the others. Returns how many failed."""
    options, without_face = session.options, []

    def process(photo: Path) -> dict:
        outcome = session.process(photo.relative_to(options.input_dir))
        record, part_path = outcome.record, _part_path(options, photo)
        # A photo counts as done once its record is there: an old one goes first, the new one comes last.
        if records.pop(record["photo"], None):
            results.write_results(options.output_dir, records)
        files.remove(part_path)
        outputs = {path: outcome.pictures[steps] for steps, path in _output_paths(options, photo).items()}
        if outcome.part:
            outputs[part_path] = outcome.part
        for path, content in outputs.items():
            files.make_folder(path.parent)
            files.write_bytes(path, content)
        records[record["photo"]] = record
        results.write_results(options.output_dir, records)
        if not record["faces"]:
            without_face.append(photo)
        losses = [f"{loss:.5f}" for loss in record["losses"] if loss is not None]
        return {"faces": record["faces"], "loss": f"{losses[0]} -> {losses[-1]}" if losses else "-"}

    failed = process_all(photos, process)
    note = f", {len(without_face)} of them without a face" if max(options.fine_tune_num) > 0 else ""
    cli.say(f"{cli.counted(len(photos) - failed, 'photo is', 'photos are')} in {options.output_dir}{note}")
    if session.faces and options.face_dir is None:
        say_turned(without_face)
    return failed


def _write_report(options: Options, photos: list[Path], records: dict[str, dict]) -> None:
    """Put the parts of all photos that have one into `report.html`."""
    shown = {photo: _part_path(options, photo) for photo in photos if _part_path(options, photo).is_file()}
    kept = [records.get(photo.relative_to(options.input_dir).as_posix(), {}) for photo in shown]
    overview = showing.overview(f"MetaF2N: {options.output_dir}", kept)
    page.write_page(options.output_dir / REPORT, overview, shown.values())
    cli.say(f"report: {options.output_dir / REPORT}")
