"""What a training run shows: a line of progress, and TensorBoard's scalars and pictures under the published names."""

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.data import files
from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.errors import first_line
from metaf2n_tf.meta.meta_step import Report, Unadapted

logger = logging.getLogger(__name__)

_PICTURES = 4  # of a task


def _tag(name: str) -> str:
    """A name as TensorFlow 1 wrote it into its event files."""
    return re.sub(r"[^-/\w.]", "_", name)


def scalars(report: Report, before: Unadapted) -> dict[str, float]:
    """`{published name: value}` of a step that is watched."""
    losses = tf.nest.map_structure(np.asarray, report.losses)
    named = {"Train inner_loop loss": losses.inner, "Train outer_loop loss, step 0": before.outer}
    for step, (outer, discriminator) in enumerate(zip(losses.outer, losses.discriminator, strict=True), 1):
        named[f"Train outer_loop loss, step {step}"] = outer
        named[f"Discriminator loss, step {step}"] = discriminator
    for name, at_start, after in (
        ("l1", before.l1, losses.l1),
        ("vgg", before.lpips, losses.lpips),  # the published name of the LPIPS term
        ("gan", before.gan, losses.gan),
    ):
        for step, value in enumerate([at_start, *after]):
            named[f"Train outer_loop {name}_loss, step {step}"] = value
    low, high = np.asarray(report.weight_range)
    named |= {"W min": low, "W mean": losses.weight_map, "W max": high}
    return {name: float(value) for name, value in named.items()}


def pictures(batch: MetaBatch, report: Report, before: Unadapted) -> dict[str, tf.Tensor]:
    """`{published name: float32 (B, H, W, 3 or 1) in [0, 1]}` of the first task."""
    weight_map = report.pictures.weight_map
    named = {
        "1.inputa_query": batch.inputa[0],
        "2.labela_query": batch.labela[0],
        "3.inputb_query": batch.inputb[0],
        "4.init_outputb_query": before.outputb,
        "5.outputb_query": report.pictures.outputb,
        "6.GT": batch.labelb[0],
        "7.GT_Nousm": batch.labelb_nousm[0],
        "8.W": weight_map / tf.maximum(1.0, tf.reduce_max(weight_map)),
    }
    return {name: tf.clip_by_value(value, 0.0, 1.0) for name, value in named.items()}


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


class ProgressLog:
    """Shows steps; to be used in a `with` block."""

    def __init__(self, logs: str, last_step: int):
        """`logs`: TensorBoard's folder, a UserError where it cannot be made; `last_step`: META_ITER."""
        files.make_folder(Path(logs))
        self._writer = tf.summary.create_file_writer(logs)
        self._last_step = last_step
        self._clock: tuple[int, float] | None = None  # a step, and when it was done

    def start_clock(self, step: int) -> None:
        """Speed counts from here: after the first step of a run, which is compiled."""
        self._clock = self._clock or (step, time.monotonic())

    def show(self, step: int, batch: MetaBatch, report: Report, before: Unadapted, skipped: int) -> None:
        """Show a step.

        Args:
          step: steps done.
          batch, report, before: its data and results.
          skipped: steps of this run without an update.
        """
        values = scalars(report, before) | {"Skipped steps": skipped}
        pace = ""
        since, started = self._clock or (step, 0.0)
        if step > since:
            speed = (step - since) / (time.monotonic() - started)
            values["Steps per second"] = speed
            pace = f", {speed:.3g} steps/s, {_duration((self._last_step - step) / speed)} left"
        self._clock = step, time.monotonic()
        self._write(step, values, batch, report, before)
        outer, discriminator = (np.asarray(losses)[-1] for losses in (report.losses.outer, report.losses.discriminator))
        logger.info(
            f"step {step}/{self._last_step}: inner {values['Train inner_loop loss']:.4f}, "
            f"outer {float(before.outer):.4f} -> {outer:.4f}, discriminator {discriminator:.4f}, "
            f"W {values['W min']:.3f} {values['W mean']:.3f} {values['W max']:.3f}{pace}"
            + (f", {skipped} skipped" if skipped else "")
        )
        if values["W max"] == 0:
            logger.warning("W is 0 everywhere: MaskNet trusts no pixel, there is no inner step, and it may not recover")

    def _write(
        self, step: int, values: Mapping[str, float], batch: MetaBatch, report: Report, before: Unadapted
    ) -> None:
        try:
            with self._writer.as_default(step):
                for name, value in values.items():
                    tf.summary.scalar(_tag(name), value)
                for name, images in pictures(batch, report, before).items():
                    tf.summary.image(_tag(name), images, max_outputs=_PICTURES)
            self._writer.flush()
        except tf.errors.OpError as error:  # no reason to end a training
            logger.warning(f"step {step} is not in TensorBoard's files: {first_line(error)}")

    def __enter__(self) -> "ProgressLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
