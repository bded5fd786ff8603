"""The settings of a training run of KDFSRNet, checked."""

import math
from dataclasses import dataclass
from pathlib import Path

from metaf2n_tf import places
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.networks.kdfsrnet import Architecture

TEACHER, STUDENT = "teacher", "student"
STAGES = (TEACHER, STUDENT)
NO_TEACHER = "none"
SCALES = (4, 8, 16)
_NARROWEST = 16  # the attention has a sixteenth of the channels


@dataclass(frozen=True)
class Settings:
    """A run; the defaults are the published numbers.

    stage: `teacher` or `student`; data, val: TFRecord sets to train on and to measure with, None for no measuring;
    teacher: the student's, `none` for no distillation; output_dir: of the checkpoints; scale: of the LQ faces; augment:
    flips and quarter turns; width, blocks: of the network, None for the published ones; keep_checkpoints: only so many
    of the newest, 0 for all; resume: go on from the newest checkpoint, if there is one.
    """

    stage: str
    data: str
    val: str | None = None
    teacher: str | None = None
    output_dir: str | None = None
    scale: int = 8
    epochs: int = 400
    batch_size: int = 8
    lr: float = 1e-4
    seed: int = 0
    augment: bool = False
    width: int | None = None
    blocks: int | None = None
    keep_checkpoints: int = 2
    resume: bool = False

    def __post_init__(self):
        """Raise a UserError for what cannot be."""
        if self.stage not in STAGES:
            raise UserError(Argument("stage", self.stage), f": expected {' or '.join(STAGES)}")
        if not self.data:
            remedy = f"make one with {places.command('tfrecord')}"
            raise UserError(Argument("data"), f": give a TFRecord set of faces. Remedy: {remedy}")
        if self.stage == TEACHER and self.teacher is not None:
            raise UserError(Argument("teacher"), ": is for ", Argument("stage", STUDENT))
        if self.stage == STUDENT and self.teacher is None:
            raise UserError(
                Argument("teacher"),
                ": a student needs one. Remedy: train it with ",
                Argument("stage", TEACHER),
                " and give its folder, or ",
                Argument("teacher", NO_TEACHER),
                " to train without",
            )
        if self.scale not in SCALES:
            raise UserError(Argument("scale", self.scale), f": expected one of {', '.join(map(str, SCALES))}")
        least = {"epochs": 1, "batch_size": 1, "seed": 0, "keep_checkpoints": 0, "width": _NARROWEST, "blocks": 1}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise UserError(Argument(name, value), f": expected at least {lowest}")
        if not 0 < self.lr < math.inf:
            raise UserError(Argument("lr", self.lr), ": expected a number above 0")

    @property
    def architecture(self) -> Architecture:
        """Of the network that is trained."""
        published = kdfsrnet.TEACHER if self.stage == TEACHER else kdfsrnet.STUDENT
        return Architecture(published.channels, self.width or published.width, self.blocks or published.blocks)

    @property
    def distils(self) -> bool:
        """Whether a student learns from a teacher."""
        return self.stage == STUDENT and self.teacher != NO_TEACHER

    @property
    def place(self) -> Path:
        """The folder of the checkpoints."""
        return Path(self.output_dir or f"./weights/kdfsrnet_{self.stage}")
