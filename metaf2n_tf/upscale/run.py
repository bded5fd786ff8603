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
from metaf2n_tf.faces.generate import FaceFinder, Selection
from metaf2n_tf.faces.restore import Setting
from metaf2n_tf.networks.rrdbnet import SCALE
from metaf2n_tf.photos import process_all
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.upscale import results
from metaf2n_tf.upscale.adaptation import Adapter
from metaf2n_tf.upscale.patches import sample_patches
from metaf2n_tf.weights.load import DEFAULT_TASK_LR, Weights, load_weights


@dataclass(frozen=True)
class Options:
    """The flags of `test.py`; `face_dir` None finds and restores the faces, `task_lr` None is the weights' default."""

    input_dir: Path
    face_dir: Path | None
    output_dir: Path
    model_dir: Path
    patch_size: int
    patch_num_per_img: int
    fine_tune_num: list[int]
    task_lr: float | None
    seed: int
    tile: int
    tile_pad: int
    precision: str
    detector: str | None
    restorer: str | None
    recursive: bool
    ext: list[str]
    overwrite: bool
    gpu: str | None

    def check(self) -> None:
        """Raise a UserError for values that make no sense."""
        if self.patch_size < 2 * SCALE or self.patch_size % SCALE:
            raise UserError(f"--patch_size {self.patch_size}: a multiple of {SCALE}, at least {2 * SCALE}")
        if self.patch_num_per_img < 1:
            raise UserError(f"--patch_num_per_img {self.patch_num_per_img}: at least 1")
        if self.task_lr is not None and not self.task_lr > 0:
            raise UserError(f"--task_lr {self.task_lr}: a positive number")
        if self.face_dir is not None and not (self.face_dir / folder.LQ).is_dir():
            raise UserError(
                f"--face_dir {self.face_dir}: there is no {folder.LQ} in it. Remedy: run generate_test_faces.py with "
                f"--output_dir {self.face_dir}, or leave --face_dir out to have the faces found here"
            )


class Session:
    """What one run of `test.py` builds once: weights, compiled functions, detector and restorer."""

    def __init__(self, options: Options, num_photos: int):
        self.options = options
        self.device = runtime.select_device(options.gpu)
        self.resolver = SuperResolver(options.tile, options.tile_pad, options.precision)
        self.weights: Weights = load_weights(options.model_dir)
        self.task_lr = options.task_lr or DEFAULT_TASK_LR[self.weights.kind]
        xla = runtime.xla_pays(self.device, num_photos * max(options.fine_tune_num))
        self.mode = "XLA" if xla else "graph"
        self.adapter = Adapter(self.weights, xla)
        cli.say(f"weights: {self.weights}")
        default = "" if options.task_lr else f", the default for {self.weights.kind} weights"
        cli.say(f"task_lr: {self.task_lr:g}{default}")
        cli.say(f"device: {self.device}, adaptation in {self.mode} mode, {options.precision}, tiles of {options.tile}")
        self.find_faces = None
        if options.face_dir is None and max(options.fine_tune_num) > 0:
            setting = Setting(sr=lambda: self.weights.sr)
            self.find_faces = FaceFinder(options.detector, options.restorer, setting, Selection())

    def _settings(self) -> dict:
        """Everything that decides the pixels, as it is written to every record."""
        settings = dataclasses.asdict(self.options)
        for name in ("input_dir", "output_dir", "recursive", "ext", "overwrite", "gpu"):
            del settings[name]
        if self.options.face_dir is not None:
            settings["face_dir"] = str(self.options.face_dir)
        return settings | {
            "detector": self.find_faces.detector if self.find_faces else None,
            "restorer": self.find_faces.restorer if self.find_faces else None,
            "model_dir": str(self.options.model_dir),
            "weights": self.weights.identity,
            "weights_kind": self.weights.kind,
            "task_lr": self.task_lr,
            "tile": self.resolver.tile,
            "device": self.device,
            "mode": self.mode,
            "version": __version__,
        }

    def _face_pairs(self, name: Path, rgb: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        if self.options.face_dir is not None:
            return folder.read_pairs(self.options.face_dir, name)
        if self.find_faces is None:
            return []
        levels = images.to_levels(rgb)
        used, _ = self.find_faces.find(levels)
        return [(found.lq, found.hq) for found in self.find_faces.restore(levels, used)]

    def process(self, name: Path) -> tuple[dict[int, bytes], dict]:
        """Adapt to one photo and super-resolve it.

        Args:
          name: its path relative to the input folder.

        Returns:
          `{steps: encoded PNG}`, and the photo's record.

        Raises:
          UserError: the photo or one of its faces cannot be used.
        """
        options, began = self.options, time.monotonic()
        photo = images.read_photo(options.input_dir / name)
        pairs = self._face_pairs(name, photo.rgb)
        rng = np.random.default_rng([options.seed, zlib.crc32(os.fsencode(name))])
        lq, hq = sample_patches(pairs, options.patch_size, options.patch_num_per_img, rng)
        adaptation = self.adapter.adapt(lq, hq, self.task_lr) if len(lq) else None
        alpha = None if photo.alpha is None else _upscale_alpha(photo)
        outputs, fell_back = {}, False
        # Without faces every number of steps gives the unadapted picture.
        trajectory = adaptation.trajectory(options.fine_tune_num) if adaptation else [(0, self.adapter.params)]
        for steps, params in trajectory:
            if adaptation and not adaptation.finite:
                fell_back, params = True, self.adapter.params
            outputs[steps] = images.encode_png(self.resolver(params, photo.rgb, photo.depth), alpha, photo)
        if adaptation is None:
            outputs = dict.fromkeys(options.fine_tune_num, outputs[0])
        if adaptation is None and max(options.fine_tune_num) > 0:
            cli.say(f"{name}: no face, so super-resolved unadapted")
        if fell_back:
            cli.say(f"{name}: the loss became non-finite, so the unadapted weights are used. Remedy: a lower --task_lr")
        losses = adaptation.losses if adaptation else []
        return outputs, {
            "photo": name.as_posix(),
            "size": list(photo.size),
            "faces": len(pairs),
            "patches": len(lq),
            "adapted": adaptation is not None and not fell_back and max(options.fine_tune_num) > 0,
            "losses": [loss if np.isfinite(loss) else None for loss in losses],
            "mean_weight": adaptation.mean_weight if adaptation else None,
            "seconds": round(time.monotonic() - began, 2),
            **self._settings(),
        }


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


def _is_done(options: Options, photo: Path, records: dict[str, dict] | None) -> bool:
    """Whether a photo's results are there: all its pictures, and its record where the folder has records at all."""
    recorded = records is None or photo.relative_to(options.input_dir).as_posix() in records
    return recorded and all(path.is_file() for path in _output_paths(options, photo).values())


def _report_done(options: Options, done: list[Path], records: dict[str, dict]) -> None:
    """Say which photos are skipped, and whether they were made in another way."""
    asked = dataclasses.asdict(options)
    deciding = ("fine_tune_num", "patch_size", "patch_num_per_img", "seed", "precision")
    kept = [records.get(photo.relative_to(options.input_dir).as_posix(), {}) for photo in done]
    same = [
        all(record.get(name) == asked[name] for name in deciding)
        and record.get("model_dir") == str(options.model_dir)
        and options.task_lr in (None, record.get("task_lr"))
        and record.get("face_dir") == (None if options.face_dir is None else str(options.face_dir))
        and options.detector in (None, record.get("detector"))
        and options.restorer in (None, record.get("restorer"))
        for record in kept
    ]
    cli.say(f"{len(done)} photos have their results already: skipped (--overwrite makes them anew)")
    if not all(same):
        cli.say(f"note: {same.count(False)} of them were made with other settings or by another program")


def _check_places(options: Options, photos: list[Path]) -> None:
    if options.output_dir.resolve() == options.input_dir.resolve():
        raise UserError(f"--output_dir {options.output_dir}: is the folder of the photos. Remedy: name another one")
    for photo in photos:
        if photo.resolve() in {path.resolve() for path in _output_paths(options, photo).values()}:
            raise UserError(f"--output_dir {options.output_dir}: {photo} would be overwritten by its result")


def run(options: Options) -> int:
    """Super-resolve a folder of photos. Returns the exit code."""
    options.check()
    leave_out = [options.output_dir]
    if options.face_dir is not None:
        leave_out += [options.face_dir / side for side in folder.SIDES]
    photos = images.list_photos(options.input_dir, options.ext, options.recursive, leave_out)
    _check_places(options, photos)
    found = results.read_results(options.output_dir)
    done = [photo for photo in photos if not options.overwrite and _is_done(options, photo, found)]
    records = found or {}
    if done:
        _report_done(options, done, records)
    kept = set(done)
    todo = [photo for photo in photos if photo not in kept]
    if not todo:
        return cli.OK
    files.make_folder(options.output_dir)
    session = Session(options, len(todo))
    without_face = []

    def process(photo: Path) -> dict:
        outputs, record = session.process(photo.relative_to(options.input_dir))
        # A photo counts as done once its record is there: an old one goes first, the new one comes last.
        if records.pop(record["photo"], None):
            results.write_results(options.output_dir, records)
        for steps, path in _output_paths(options, photo).items():
            files.make_folder(path.parent)
            files.write_bytes(path, outputs[steps])
        records[record["photo"]] = record
        results.write_results(options.output_dir, records)
        if not record["faces"]:
            without_face.append(photo)
        losses = [f"{loss:.5f}" for loss in record["losses"] if loss is not None]
        return {"faces": record["faces"], "loss": f"{losses[0]} -> {losses[-1]}" if losses else "-"}

    failed = process_all(todo, process)
    note = f", {len(without_face)} of them without a face" if max(options.fine_tune_num) > 0 else ""
    cli.say(f"{len(todo) - failed} photos are in {options.output_dir}{note}")
    return cli.SOME_FAILED if failed else cli.OK
