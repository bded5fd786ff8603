"""The training loop of KDFSRNet's teacher and student: TFRecords of faces in, checkpoints out."""

import contextlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import tensorflow as tf

from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords.records import RecordSet
from metaf2n_tf.distillation import checkpoint, faces
from metaf2n_tf.distillation.checkpoint import Progress
from metaf2n_tf.distillation.losses import distillation_weights
from metaf2n_tf.distillation.settings import TEACHER, Settings
from metaf2n_tf.distillation.step import State, TrainingStep, initial_state, unpack
from metaf2n_tf.errors import Argument, DivergedError, Message, UserError, first_line
from metaf2n_tf.metrics.psnr import psnr_y
from metaf2n_tf.metrics.ssim import ssim_y
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.signals import stop_signals
from metaf2n_tf.weights import training_folder
from metaf2n_tf.weights.face_networks import load_kdfsrnet_teacher

logger = logging.getLogger(__name__)

CROP = 8  # pixels at the border that are not measured
MAX_SKIPPED = 10  # give up after so many steps in a row whose gradients were not finite
_LEAST_MEASURED = 32  # pixels a side: SSIM needs 11 after the crop
_SECONDS = 20.0  # from one line of progress to the next
_SET = ("stage", "output_dir", "resume", "keep_checkpoints", "epochs")  # these may differ from run to run


@dataclass(frozen=True)
class Scores:
    """Means over the faces of the validation set, on Y: PSNR in dB, and SSIM."""

    psnr: float
    ssim: float


def mean_scores(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Scores:
    """Of (HQ, restored) faces, levels (S, S, 3): as published on Y, not rounded, 8 pixels off at the border."""
    inner = slice(CROP, -CROP)
    cropped = ([picture[inner, inner] for picture in pair] for pair in pairs)
    return Scores(*map(float, np.mean([(psnr_y(*pair), ssim_y(*pair)) for pair in cropped], axis=0)))


def measure(step: TrainingStep, opened: RecordSet, batch_size: int, scale: int, parsing: bool) -> Scores:
    """PSNR and SSIM of a network's faces, not clipped either, as published."""

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for batch in faces.batches(opened, batch_size, scale, faces.in_order(opened.count), parsing):
            hq, restored = (np.asarray(images, float) * 255 for images in (unpack(batch)[1], step.restore(batch)))
            yield from zip(hq, restored, strict=True)

    return mean_scores(pairs())


def _start(settings: Settings) -> tuple[State, Progress, bool]:
    """The state to begin with, the place in the data, and whether that is a checkpoint's."""
    found = training_folder.newest(settings.place)
    if found is None:
        logger.info(f"no checkpoint in {settings.place}: training starts at epoch 1")
        return initial_state(kdfsrnet.initial_params(settings.seed, settings.architecture)), Progress(), False
    if not settings.resume:
        raise UserError(
            f"{settings.place}: holds a checkpoint. Remedy: ",
            Argument("resume"),
            " to go on from it, or another ",
            Argument("output_dir"),
        )
    logger.info(f"going on from {found[1]}")
    return *checkpoint.restore(found[1], settings.architecture), True


def _mean_loss(now: Progress) -> float:
    """Of the current epoch, in levels, as published."""
    return 255 * now.loss / max(now.steps, 1)


class Trainer:
    """A training run of one network."""

    def __init__(self, settings: Settings):
        """Find and load all that the run needs.

        Raises:
          UserError: something is missing, damaged or does not go together.
        """
        self._settings = settings
        self._parsing = settings.stage == TEACHER or settings.distils
        self._data = faces.open_faces("data", settings.data, self._parsing)
        self._val = None
        if settings.val is not None:
            self._val = faces.open_faces("val", settings.val, settings.stage == TEACHER, _LEAST_MEASURED)
        teacher = None
        if settings.distils and settings.teacher is not None:
            teacher = load_kdfsrnet_teacher(settings.teacher)
        self._check_teacher(teacher)
        state, self._progress, self._resumed = _start(settings)
        self._step = TrainingStep(state, settings.lr, teacher)
        self._skipped = 0  # steps in a row

    def _check_teacher(self, teacher: dict[str, np.ndarray] | None) -> None:
        width = self._settings.architecture.width
        if teacher is not None and kdfsrnet.architecture_of(teacher).width != width:
            theirs = kdfsrnet.architecture_of(teacher).width
            raise UserError(
                Argument("teacher", self._settings.teacher),
                f": its features are {theirs} wide, the student's {width}. Remedy: ",
                Argument("width", theirs),
            )

    @property
    def state(self) -> State:
        """The network and its Adam as they are now."""
        return self._step.state

    def measure(self) -> Scores | None:
        """Of the network as it is now, on the validation set; None without one."""
        settings = self._settings
        if self._val is None:
            return None
        return measure(self._step, self._val, settings.batch_size, settings.scale, settings.stage == TEACHER)

    def run(self) -> int | None:
        """Train up to `epochs` epochs in all, or until a signal comes.

        Returns:
          The signal's number, None where all epochs are done.

        Raises:
          DivergedError: `MAX_SKIPPED` steps in a row were not finite.
          UserError: a record is damaged, or a file cannot be written.
        """
        settings, place = self._settings, self._settings.place
        files.make_folder(place)
        with files.alone_in(place):
            self._save_settings()
            count = sum(math.prod(shape) for shape in kdfsrnet.variable_shapes(settings.architecture).values())
            logger.info(f"{settings.stage}: {count:,} parameters, {self._data.count} faces of {self._data.side} pixels")
            if not self._resumed:
                self._save()
            files.make_folder(place / "logs")
            self._writer = tf.summary.create_file_writer(str(place / "logs"))
            with contextlib.closing(self._writer), stop_signals() as signals:
                if self._resumed and not self._progress.records:  # a run may end between an epoch and its measuring
                    self._show_scores()
                while self._progress.epoch < settings.epochs:
                    stopped_by = self._run_epoch(signals)
                    if stopped_by is not None:
                        return stopped_by
                    self._save()
                    self._show_scores()
        logger.info(f"done: {self._progress.epoch} epochs, {self._progress.step} steps")
        return None

    def _run_epoch(self, signals: list[int]) -> int | None:
        """The rest of the current epoch; the signal's number if one ended it."""
        settings, now = self._settings, self._progress
        order = faces.epoch_order(self._data.count, settings.seed, now.epoch, settings.augment)
        weights = distillation_weights(now.epoch) if settings.distils else None
        shown = time.monotonic()
        parts = dict.fromkeys(("l1", "features", "output"), 0.0)
        steps_before = now.steps
        needed = self._parsing and (settings.stage == TEACHER or weights is not None)
        for batch in faces.batches(self._data, settings.batch_size, settings.scale, order, needed, start=now.records):
            losses, finite = self._step(batch, weights)
            if finite:
                self._skipped = 0
                for name in parts:
                    parts[name] += float(getattr(losses, name))
            else:
                self._skipped += 1
                logger.warning(
                    f"step {now.step + 1}: loss or gradients are not finite, no update ({self._skipped} in a row)"
                )
            now = self._progress = Progress(
                step=now.step + 1,
                epoch=now.epoch,
                records=now.records + len(batch),
                steps=now.steps + bool(finite),
                loss=now.loss + (float(losses.total) if finite else 0.0),
            )
            if self._skipped >= MAX_SKIPPED:
                newest = training_folder.newest(settings.place)
                raise DivergedError(
                    f"{self._skipped} steps in a row were not finite: training has diverged. Remedy: go on from "
                    f"{newest[1] if newest else 'the start'} with ",
                    Argument("resume"),
                    " and a lower ",
                    Argument("lr"),
                )
            if signals:
                self._save()
                logger.info(Message(f"stopped by a signal after step {now.step}; ", Argument("resume"), " goes on"))
                return signals[0]
            if time.monotonic() - shown > _SECONDS:
                shown = time.monotonic()
                logger.info(
                    f"epoch {now.epoch + 1}: {now.records} of {self._data.count} faces, loss {_mean_loss(now):.3f}"
                )
        steps = max(now.steps - steps_before, 1)
        self._show_epoch(now, {name: value / steps for name, value in parts.items()})
        self._progress = Progress(step=now.step, epoch=now.epoch + 1)
        return None

    def _show_epoch(self, now: Progress, parts: dict[str, float]) -> None:
        loss = _mean_loss(now)
        named = {"train_loss": loss} | {f"train_{name}": 255 * value for name, value in parts.items()}
        self._log(now.epoch + 1, named)
        logger.info(f"epoch {now.epoch + 1}/{self._settings.epochs}: loss {loss:.3f}")

    def _show_scores(self) -> None:
        epoch = self._progress.epoch
        scores = self.measure() if epoch else None
        if scores is None:
            return
        self._log(epoch, {"val_psnr_DIC": scores.psnr, "val_ssim_DIC": scores.ssim})
        logger.info(f"epoch {epoch}/{self._settings.epochs}: PSNR {scores.psnr:.3f}, SSIM {scores.ssim:.4f}")

    def _log(self, epoch: int, values: dict[str, float]) -> None:
        try:
            with self._writer.as_default(epoch):
                for name, value in values.items():
                    tf.summary.scalar(name, value)
            self._writer.flush()
        except tf.errors.OpError as error:  # no reason to end a training
            logger.warning(f"epoch {epoch} is not in TensorBoard's files: {first_line(error)}")

    def _save(self) -> None:
        settings = self._settings
        logger.info(f"saved {checkpoint.save(settings.place, self.state, self._progress, settings.keep_checkpoints)}")

    def _save_settings(self) -> None:
        """Keep the settings beside the checkpoints, and say where they are not those of before."""
        values = asdict(self._settings) | {"faces": self._data.count}
        may_differ = _SET if self._resumed else values
        training_folder.save_settings(self._settings.place / "settings.json", values, may_differ)


def train(settings: Settings) -> int | None:
    """Train; see `Trainer.run`.

    Raises:
      UserError: something is missing, damaged, does not go together or cannot be written; or memory is at an end.
    """
    try:
        return Trainer(settings).run()
    except tf.errors.ResourceExhaustedError as error:
        raise UserError("memory is exhausted. Remedy: a smaller ", Argument("batch_size")) from error
