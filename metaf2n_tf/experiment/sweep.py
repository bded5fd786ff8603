"""What is varied: the configuration of one adaptation, and the table of all that an experiment tries."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from metaf2n_tf.upscale.steps import Steps, step_label

PICTURES = "pictures"


@dataclass(frozen=True, order=True)
class Configuration:
    """One inner loop and the strength of its change; any number of steps of it are measured on its way."""

    task_lr: float | str  # or "learned", by the weights
    patch_size: int
    patch_num_per_img: int
    seed: int
    strength: float = 1.0

    @property
    def inner_loop(self) -> "Configuration":
        """What all strengths have in common."""
        return dataclasses.replace(self, strength=1.0)


@dataclass(frozen=True)
class Sweep:
    """Every combination of the values given; `steps` are in rising order and start with 0, the unadapted network.

    `auto`, if it is among them, comes last.
    """

    task_lr: Sequence[float | str]
    patch_size: Sequence[int]
    patch_num_per_img: Sequence[int]
    seeds: Sequence[int]
    steps: Sequence[Steps]
    strength: Sequence[float] = (1.0,)

    @property
    def configurations(self) -> list[Configuration]:
        """All of them, those that differ in their seeds side by side."""
        axes = itertools.product(self.task_lr, self.patch_size, self.patch_num_per_img, self.strength, self.seeds)
        return [Configuration(rate, size, count, seed, strength) for rate, size, count, strength, seed in axes]

    @property
    def numbers(self) -> list[int]:
        """The steps without `auto`."""
        return [steps for steps in self.steps if isinstance(steps, int)]

    def label(self, configuration: Configuration, with_seed: bool = False) -> str:
        """A configuration by what varies in this sweep, like "task_lr 0.001, patch_size 64"; "" where nothing does."""
        varied = {name: getattr(self, name) for name in ("task_lr", "patch_size", "patch_num_per_img", "strength")}
        if with_seed:
            varied = varied | {"seed": self.seeds}
        values = asdict(configuration)
        return ", ".join(f"{name} {values[name]}" for name, given in varied.items() if len(given) > 1)

    def label_after(self, configuration: Configuration, steps: Steps) -> str:
        """What the result after so many steps is called, like "3 steps, task_lr 0.001"."""
        return ", ".join(filter(None, [step_label(steps), self.label(configuration) if steps else ""]))


def picture_path(output_dir: Path, name: Path, configuration: Configuration, steps: Steps) -> Path:
    """Where a result is kept: the unadapted one once, the others by configuration (strength 1 goes without saying) and
    steps."""
    folder = "unadapted"
    if steps:
        values = {name: value for name, value in asdict(configuration).items() if (name, value) != ("strength", 1)}
        parts = [f"{name}_{value}" for name, value in values.items()]
        folder = Path("-".join(parts), f"steps_{steps}".replace(":", "_"))
    return output_dir / PICTURES / folder / name.with_suffix(".png")
