"""The training loop (MetaF2N's `train.py`): meta-batches in, checkpoints out."""

import contextlib
import logging
import math
import resource
import signal
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf import places, runtime
from metaf2n_tf.data import files
from metaf2n_tf.data.meta_batches import BatchRestorer, MetaBatches, Shape, task_dataset
from metaf2n_tf.data.tfrecords.records import open_set
from metaf2n_tf.errors import Argument, DivergedError, Message, Part, UserError
from metaf2n_tf.faces.restore_batch import make_restorer
from metaf2n_tf.meta import checkpoint
from metaf2n_tf.meta.meta_step import MetaStep, TrainingState, in_scope, initial_rates, initial_state
from metaf2n_tf.meta.method import read_method
from metaf2n_tf.meta.progress import ProgressLog
from metaf2n_tf.meta.replicas import Replicas, choose_strategy
from metaf2n_tf.meta.settings import Settings
from metaf2n_tf.networks import context_srvgg, discriminator, masknet, sr
from metaf2n_tf.networks.typed import static_shape
from metaf2n_tf.signals import stop_signals
from metaf2n_tf.weights import catalogue, training_folder
from metaf2n_tf.weights.discriminator import load_discriminator
from metaf2n_tf.weights.load import RATE_SCOPE, Weights, load_weights
from metaf2n_tf.weights.lpips import load_lpips

logger = logging.getLogger(__name__)

RANDOM = "random"
_IN_CONFIG = {"restorer": "RESTORER", "exemplar_dir": "EXEMPLAR_DIR", "blend": "SR_BLEND"}  # of arguments


@dataclass(frozen=True)
class TrainingRun:
    """Which run of the settings, and how it is computed.

    trial: its number, which names checkpoints and logs; step: of the newest checkpoint; resume: from the newest one,
    whichever it is; first_order, recompute, mixed_precision: see `MetaStep`; dry_run: two steps, and keep nothing;
    xla: whether to compile with XLA.
    """

    trial: int = 0
    step: int = 0
    resume: bool = False
    first_order: bool = False
    recompute: bool = False
    mixed_precision: bool = False
    dry_run: bool = False
    xla: bool = False


def _need(name: str, path: str, *remedy: Part) -> None:
    try:
        found = catalogue.find(path)
    except UserError as error:
        raise UserError(f"{name} = ", error) from None
    if not places.exists(found):
        shown = path if found == Path(path) else found
        raise UserError(f"{name} = {shown}: no such file. Remedy: ", *remedy)


def _as_in_config(argument: Argument) -> str:
    """An argument under its name in `config.py`, where it has one there."""
    if argument.name not in _IN_CONFIG:
        return str(argument)
    name = _IN_CONFIG[argument.name]
    return name if argument.value is None else f"{name} = {argument.value}"


def _sr_weights(settings: Settings) -> Weights:
    try:
        return load_weights(settings.SR_WEIGHTS, settings.SR_BLEND)
    except UserError as error:
        raise UserError(error.message.spelled(_as_in_config)) from None


def _restorer(settings: Settings, side: int) -> BatchRestorer:
    try:
        exemplars = Path(settings.EXEMPLAR_DIR) if settings.EXEMPLAR_DIR else None
        return make_restorer(settings.RESTORER, side, sr=lambda: _sr_weights(settings).sr, exemplar_dir=exemplars)
    except UserError as error:
        reason = error.message.spelled(_as_in_config)
        raise UserError(reason, "; or ", Argument("set", "RESTORER=self_ensemble")) from None


def context_branch(weights: Weights, seed: int) -> dict[str, np.ndarray]:
    """An untrained context branch for these weights, which must be a compact network's that has none.

    Raises:
      UserError: another network.
    """
    first = f"{sr.SCOPE}/body/0/bias"
    if first not in weights.sr or context_srvgg.count_levels(weights.sr):
        raise UserError(f"CONTEXT_BRANCH: {weights} is no SRVGGNetCompact without one")
    return context_srvgg.initial_branch(weights.sr[first].size, seed=seed)


def untrained_state(settings: Settings) -> TrainingState:
    """The state before step 0: published weights, and drawn ones for MaskNet.

    Raises:
      UserError: weights are missing or damaged.
    """
    fetch = places.command("weights")
    instead = Argument("set", "SR_WEIGHTS=weights/realesrgan-x4plus.npz")
    _need("SR_WEIGHTS", settings.SR_WEIGHTS, f"{fetch} realesrgan-x4plus-pth, or realesrgan-x4plus and ", instead)
    weights = _sr_weights(settings)
    logger.info(f"SR network: {weights}")
    network = weights.sr | (context_branch(weights, settings.SEED) if settings.CONTEXT_BRANCH else {})
    generator = dict(network)
    if settings.INNER_LOOP:
        mask = weights.mask or masknet.initial_params(settings.SEED, settings.MASK_WIDTH, settings.MASK_BIAS)
        generator |= mask
    if settings.INNER_LOOP and settings.LEARN_TASK_LR:
        generator |= initial_rates(network, settings.TASK_LR) | weights.log_rates
    source = settings.DISCRIMINATOR_WEIGHTS
    if not settings.GAN_WEIGHT:
        discriminator_params = {}
    elif source == RANDOM:
        discriminator_params = discriminator.initial_params(settings.SEED)
    else:
        instead = Argument("set", f"DISCRIMINATOR_WEIGHTS={RANDOM}"), ", or GAN_WEIGHT=0"
        _need("DISCRIMINATOR_WEIGHTS", source, f"{fetch} realesrgan-x4plus-netd, or ", *instead)
        discriminator_params = load_discriminator(source)
    return initial_state(generator, discriminator_params)


def _check_restored(settings: Settings, prefix: Path, state: TrainingState) -> None:
    """Raise a UserError where a checkpoint lacks what the settings train, or has what they would leave behind."""
    another = Message("another ", Argument("trial"), " with ", Argument("set", f"SR_WEIGHTS={prefix}"))
    for name, wanted, scope, what in (
        ("INNER_LOOP", settings.INNER_LOOP, masknet.SCOPE, "no MaskNet"),
        ("LEARN_TASK_LR", settings.INNER_LOOP and settings.LEARN_TASK_LR, RATE_SCOPE, "no learned rates"),
        ("CONTEXT_BRANCH", settings.CONTEXT_BRANCH, context_srvgg.SCOPE, "no context branch"),
        ("GAN_WEIGHT", settings.GAN_WEIGHT, discriminator.SCOPE, "no discriminator"),
    ):
        if wanted and not in_scope({**state.generator, **state.discriminator}, scope):
            raise UserError(
                f"{name} = {getattr(settings, name)}: {prefix} has {what}. Remedy: {name} as it was, or ", another
            )
    if not settings.INNER_LOOP and in_scope(state.generator, masknet.SCOPE):
        raise UserError(
            f"INNER_LOOP = False: {prefix} is of a meta-training. Remedy: INNER_LOOP as it was, or ", another
        )


def _start(settings: Settings, run: TrainingRun) -> tuple[int, TrainingState, bool]:
    """Number of steps done, the state after them, and whether that is a checkpoint's."""
    place = checkpoint.folder(settings.CHECKPOINT_DIR, run.trial)
    found = training_folder.newest(place)
    if run.resume and run.step:
        raise UserError(Argument("resume"), " finds the newest checkpoint by itself: leave ", Argument("step"), " out")
    if found is None and run.step:
        remedy = Argument("step", 0)
        raise UserError(Argument("step", run.step), f": there is no checkpoint in {place}. Remedy: ", remedy)
    if found is None:
        logger.info(f"no checkpoint in {place}: training starts at step 0")
        return 0, untrained_state(settings), False
    step, prefix = found
    if not run.resume and step != run.step:
        raise UserError(
            Argument("step", run.step),
            f": the newest checkpoint in {place} is of step {step}. Remedy: ",
            Argument("step", step),
            " or ",
            Argument("resume"),
            " to go on from it, or another ",
            Argument("trial"),
        )
    logger.info(f"going on from {prefix}")
    state = checkpoint.restore(prefix)
    _check_restored(settings, prefix, state)
    return step, state, True


class Trainer:
    """A training run: data, replicas and checkpoints of one trial."""

    def __init__(self, settings: Settings, run: TrainingRun):
        """Find and load all that the run needs.

        Raises:
          UserError: something is missing, damaged or does not go together.
        """
        self._strategy = choose_strategy()  # before TensorFlow is used
        if run.mixed_precision and "bfloat16" not in runtime.reduced_precisions():
            slow = ": this device has no instructions for bfloat16, and computes gradients in it very slowly"
            logger.warning(Message(Argument("mixed_precision"), slow))
        self._settings, self._run, self._method = settings, run, read_method(settings)
        self._faces, self._backgrounds = open_set(settings.TFRECORD_PATH0), open_set(settings.TFRECORD_PATH1)
        self._restore = _restorer(settings, self._faces.side)
        self._place = checkpoint.folder(settings.CHECKPOINT_DIR, run.trial)
        _need("LPIPS_WEIGHTS", settings.LPIPS_WEIGHTS, f"{places.command('weights')} lpips-alex")
        self._lpips = load_lpips(settings.LPIPS_WEIGHTS)
        self.step, state, self._saved = _start(settings, run)
        self._replicas = self._make_replicas()
        if self._replicas.processes > 1 and not self._replicas.agree(self._fingerprint(state)):
            raise UserError(
                "the processes do not start from the same step, weights and settings. Remedy: the same command "
                f"everywhere, and {self._place} one folder that all of them can reach"
            )
        self._state = self._replicas.place(state)

    def _fingerprint(self, state: TrainingState) -> int:
        digest = zlib.crc32(f"{self.step} {self.effective}".encode())
        for value in tf.nest.flatten(state):
            digest = zlib.crc32(np.ascontiguousarray(value).data, digest)
        return digest % 2**31

    @property
    def effective(self) -> dict[str, object]:
        """The settings and, under the names of the command's flags, what else checkpoints do not hold of the method."""
        flags = ("first_order", "recompute", "mixed_precision")
        return vars(self._settings) | {f"--{flag}": getattr(self._run, flag) for flag in flags}

    @property
    def _first_order(self) -> bool:
        return self._run.first_order or self.step < self._settings.SECOND_ORDER_GRAD_ITER

    def _make_replicas(self) -> Replicas:
        self._made_for = self._first_order
        meta_step = MetaStep(
            self._method,
            self._lpips,
            first_order=self._made_for,
            recompute_blocks=self._run.recompute,
            mixed_precision=self._run.mixed_precision,
            xla=self._run.xla,
        )
        return Replicas(meta_step, self._strategy)

    def _batches(self) -> MetaBatches:
        replicas, shape = self._replicas, Shape.of(self._settings)
        share = (replicas.process, replicas.processes)
        tasks = task_dataset(self._faces, self._backgrounds, shape, self._settings.SEED, self.step, share=share)
        return MetaBatches(tasks, self._restore, shape)

    def dry_run(self) -> None:
        """Two steps whose results are thrown away: parameters, memory and time are printed."""
        state = self._replicas.first(self._state)
        trained = {**state.generator, **discriminator.trained(state.discriminator)}
        for what, scope in (
            ("SR network", sr.SCOPE),
            ("MaskNet", masknet.SCOPE),
            ("learned rates", RATE_SCOPE),
            ("discriminator", discriminator.SCOPE),
        ):
            count = sum(
                math.prod(static_shape(value)) for name, value in trained.items() if name.startswith(f"{scope}/")
            )
            logger.info(f"{what}: {count:,} parameters")
        with self._batches() as batches:
            for what in ("first step, tracing and compiling included", "second step"):
                batch = next(batches)
                started = time.monotonic()
                _, report = self._replicas.step(self._state, batch, self.step)
                weighted = float(report.losses.weighted)
                logger.info(f"{what}: {time.monotonic() - started:.2f} s, outer loss {weighted:.4f}")
            outer = float(self._replicas.unadapted(self._state, batch).outer)
            logger.info(f"outer loss of the second batch without adaptation {outer:.4f}")
        logger.info(f"peak memory: {_peak_memory():.2f} GB")
        megabytes = sum(leaf.nbytes for leaf in map(np.asarray, tf.nest.flatten(state))) / 1e6
        logger.info(f"a checkpoint takes {megabytes:.0f} MB, one every {self._settings.SAVE_ITER} steps")

    def run(self) -> int | None:
        """Train up to META_ITER steps in all, or until a signal comes.

        Returns:
          The signal's number, None where all steps are done.

        Raises:
          DivergedError: MAX_SKIPPED steps in a row were not finite.
          UserError: a record is damaged, or a file cannot be written.
        """
        settings = self._settings
        if self.step >= settings.META_ITER:
            logger.info(f"META_ITER = {settings.META_ITER} steps are done")
            return None
        chief = self._replicas.process == 0
        if chief:
            files.make_folder(self._place)
        with files.alone_in(self._place) if chief else contextlib.nullcontext():
            if chief:
                training_folder.save_settings(self._place / "config.json", self.effective)
                if not self._saved:
                    self._save()
            progress = ProgressLog(f"{settings.LOG_DIR}{self._run.trial}", settings.META_ITER) if chief else None
            with self._batches() as batches, progress or contextlib.nullcontext(), stop_signals() as signals:
                return self._loop(batches, progress, signals)

    def _loop(self, batches: MetaBatches, progress: ProgressLog | None, signals: list[int]) -> int | None:
        settings, skipped, in_a_row = self._settings, 0, 0
        while self.step < settings.META_ITER:
            if self._made_for != self._first_order:  # SECOND_ORDER_GRAD_ITER is reached
                self._replicas = self._make_replicas()
            batch = next(batches)
            watched = (self.step + 1) % settings.PRINT_ITER == 0 or self.step == 0
            before = self._replicas.unadapted(self._state, batch) if watched else None
            self._state, report = self._replicas.step(self._state, batch, self.step)
            self.step += 1
            in_a_row = 0 if report.updated else in_a_row + 1
            skipped += in_a_row > 0
            if in_a_row:
                logger.warning(f"step {self.step}: losses or gradients are not finite, no update ({in_a_row} in a row)")
            if in_a_row >= settings.MAX_SKIPPED:
                newest = training_folder.newest(self._place)
                raise DivergedError(
                    f"MAX_SKIPPED = {in_a_row} steps in a row were not finite: training has diverged. "
                    f"Remedy: go on from {newest[1] if newest else 'the start'} with a lower META_LR or TASK_LR"
                )
            if progress:
                progress.start_clock(self.step)
            if before and progress:
                progress.show(self.step, batch, report, before, skipped)
            stopping = self._replicas.anywhere(bool(signals))
            if self.step % settings.SAVE_ITER == 0 or self.step == settings.META_ITER or stopping:
                self._save()
            if stopping:
                logger.info(Message(f"stopped by a signal after step {self.step}; ", Argument("resume"), " goes on"))
                return signals[0] if signals else signal.SIGTERM
        logger.info(f"done: {self.step} steps")
        return None

    def _save(self) -> None:
        if self._replicas.process == 0:
            state = self._replicas.first(self._state)
            keep = self._settings.KEEP_CHECKPOINTS
            logger.info(f"saved {checkpoint.save(self._place, state, self.step, self._first_order, keep)}")


def _peak_memory() -> float:
    """GB: of the first GPU, or of the process."""
    if tf.config.list_logical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def train(settings: Settings, run: TrainingRun) -> int | None:
    """Meta-train, or try what that takes; see `Trainer.run`.

    Raises:
      UserError: something is missing, damaged, does not go together or cannot be written; or memory, or another
        process, is at an end.
    """
    try:
        trainer = Trainer(settings, run)
        for line in ("settings:", *(f"{name} = {value!r}" for name, value in trainer.effective.items())):
            logger.info(line)
        if run.dry_run:
            trainer.dry_run()
            return None
        return trainer.run()
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            "memory is exhausted. Remedy: ",
            Argument("recompute"),
            ", ",
            Argument("mixed_precision"),
            ", ",
            Argument("first_order"),
            ", a smaller TASK_BATCH_SIZE, HEIGHT1 or HEIGHT",
        ) from error
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        raise UserError(
            "another process of this training is gone. Remedy: start all of them again with ", Argument("resume")
        ) from error
