"""`test.py`: for each photo of a folder, adapt to its faces and super-resolve it."""

import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from metaf2n_tf import cli, runtime
from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.generate import FaceFinder
from metaf2n_tf.networks.rrdbnet import SCALE
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
    detector: str
    restorer: str
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


class Run:
    """What one run of `test.py` builds once: weights, compiled functions, detector and restorer."""

    def __init__(self, options: Options):
        options.check()
        self.options = options
        self.photos = images.list_photos(options.input_dir, options.ext, options.recursive, options.output_dir)
        files.make_folder(options.output_dir)
        self.records = results.read_results(options.output_dir)
        self.todo = [photo for photo in self.photos if options.overwrite or not self._is_done(photo)]
        if not self.todo:
            return
        self.resolver = SuperResolver(options.tile, options.tile_pad, options.precision)
        self.device = runtime.select_device(options.gpu)
        self.weights: Weights = load_weights(options.model_dir)
        self.task_lr = options.task_lr or DEFAULT_TASK_LR[self.weights.kind]
        xla = runtime.xla_pays(self.device, len(self.todo) * max(options.fine_tune_num))
        self.mode = "XLA" if xla else "graph"
        self.adapter = Adapter(self.weights, xla)
        cli.say(f"weights: {self.weights}")
        default = "" if options.task_lr else f", the default for {self.weights.kind} weights"
        cli.say(f"task_lr: {self.task_lr:g}{default}")
        cli.say(f"device: {self.device}, adaptation in {self.mode} mode, {options.precision}, tiles of {options.tile}")
        self.find_faces = None
        if options.face_dir is None and max(options.fine_tune_num) > 0:
            self.find_faces = FaceFinder(options.detector, options.restorer, self.resolver, self.adapter.params)

    def _output(self, photo: Path, steps: int) -> Path:
        name = photo.relative_to(self.options.input_dir).with_suffix(".png")
        several = len(self.options.fine_tune_num) > 1
        return self.options.output_dir / (f"steps_{steps}" if several else "") / name

    def _is_done(self, photo: Path) -> bool:
        return all(self._output(photo, steps).is_file() for steps in self.options.fine_tune_num)

    def settings(self) -> dict:
        """Everything that decides the pixels, as it is written to every record."""
        options = self.options
        return {
            "weights": self.weights.identity,
            "weights_kind": self.weights.kind,
            "model_dir": str(options.model_dir),
            "face_dir": None if options.face_dir is None else str(options.face_dir),
            "detector": None if options.face_dir else options.detector,
            "restorer": None if options.face_dir else options.restorer,
            "fine_tune_num": options.fine_tune_num,
            "task_lr": self.task_lr,
            "patch_size": options.patch_size,
            "patch_num_per_img": options.patch_num_per_img,
            "seed": options.seed,
            "tile": options.tile,
            "tile_pad": options.tile_pad,
            "precision": options.precision,
            "device": self.device,
            "mode": self.mode,
        }

    def _face_pairs(self, photo: Path, rgb: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        if self.options.face_dir is not None:
            return folder.read_pairs(self.options.face_dir, photo.relative_to(self.options.input_dir))
        if self.find_faces is None:
            return []
        return [(lq, hq) for _, lq, hq in self.find_faces(images.to_levels(rgb))]

    def process(self, path: Path) -> dict:
        """Adapt to one photo, write its results, and return its record.

        Raises:
          UserError: the photo or one of its faces cannot be used; then nothing of it is written.
        """
        options, began = self.options, time.monotonic()
        name = path.relative_to(options.input_dir).as_posix()
        photo = images.read_photo(path)
        pairs = self._face_pairs(path, photo.rgb)
        rng = np.random.default_rng([options.seed, zlib.crc32(name.encode())])
        lq, hq = sample_patches(pairs, options.patch_size, options.patch_num_per_img, rng)
        alpha = None if photo.alpha is None else self._upscale_alpha(photo)
        steps_wanted = sorted(options.fine_tune_num)
        adaptation = self.adapter.adapt(lq, hq, self.task_lr) if len(lq) else None
        fell_back = False
        encoded: dict[int, bytes] = {}
        trajectory = (
            adaptation.trajectory(steps_wanted) if adaptation else ((n, self.adapter.params) for n in steps_wanted)
        )
        for steps, params in trajectory:
            if adaptation and not adaptation.finite:
                fell_back, params = True, self.adapter.params
            if adaptation is None and encoded:  # without faces all step counts give one picture
                encoded[steps] = next(iter(encoded.values()))
                continue
            encoded[steps] = images.encode_png(self.resolver(params, photo.rgb, photo.depth), alpha, photo)
        if fell_back:
            cli.say(
                f"{name}: the loss became {adaptation.losses[-1]}: unadapted weights used. Remedy: a lower --task_lr"
            )
        if adaptation is None and max(steps_wanted) > 0:
            cli.say(f"{name}: no face, so super-resolved unadapted")
        for steps, content in encoded.items():
            output = self._output(path, steps)
            files.make_folder(output.parent)
            files.write_bytes(output, content)
        return {
            "photo": name,
            "faces": len(pairs),
            "patches": len(lq),
            "adapted": adaptation is not None and not fell_back and max(steps_wanted) > 0,
            "losses": [loss if np.isfinite(loss) else None for loss in adaptation.losses] if adaptation else [],
            "mean_weight": adaptation.mean_weight if adaptation else None,
            "size": list(photo.size),
            "seconds": round(time.monotonic() - began, 2),
            **self.settings(),
        }

    @staticmethod
    def _upscale_alpha(photo: images.Photo) -> np.ndarray:
        height, width = photo.size
        size = (SCALE * width, SCALE * height)
        return images.to_levels(cv2.resize(photo.alpha, size, interpolation=cv2.INTER_CUBIC), photo.depth)

    def __call__(self) -> int:
        """Process the folder. Returns the exit code."""
        self._report_done()
        failed, without_face = 0, 0
        progress = tqdm(self.todo, unit="photo", disable=not self.todo)
        for path in progress:
            try:
                record = self.process(path)
            except (UserError, tf.errors.OpError, MemoryError, OSError) as error:
                reason = str(error).split("\n")[0] or type(error).__name__
                name = "" if str(path) in reason else f"{path}: "
                cli.say(f"skipped: {name}{reason}")
                failed += 1
                continue
            self.records[record["photo"]] = record
            results.write_results(self.options.output_dir, self.records)
            without_face += not record["faces"]
            losses = [loss for loss in record["losses"] if loss is not None]
            shown = f"{losses[0]:.5f} -> {losses[-1]:.5f}" if losses else "-"
            progress.set_postfix(faces=record["faces"], loss=shown)
        done = len(self.todo) - failed
        if self.todo:
            cli.say(f"{done} photos are in {self.options.output_dir}, {without_face} of them without a face")
        if failed:
            cli.say(f"{failed} of {len(self.todo)} files could not be used")
        return cli.SOME_FAILED if failed else cli.OK

    def _report_done(self) -> None:
        skipped = [photo for photo in self.photos if photo not in set(self.todo)]
        if skipped:
            cli.say(f"{len(skipped)} photos have their results already: skipped (--overwrite makes them anew)")


def run(options: Options) -> int:
    """Super-resolve a folder of photos. Returns the exit code."""
    return Run(options)()
