"""What is varied: the settings of one adaptation, and the table of all that an experiment tries."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from metaf2n_tf.upscale.showing import step_label


@dataclass(frozen=True, order=True)
class Setting:
    """One inner loop; any number of steps of it are measured on its way."""

    task_lr: float | str  # or "learned", by the weights
    patch_size: int
    patch_num_per_img: int
    seed: int


@dataclass(frozen=True)
class Sweep:
    """Every combination of the values given; `steps` are in rising order and start with 0, the unadapted network."""

    task_lr: Sequence[float | str]
    patch_size: Sequence[int]
    patch_num_per_img: Sequence[int]
    seeds: Sequence[int]
    steps: Sequence[int]

    @property
    def settings(self) -> list[Setting]:
        """All inner loops, those of one setting with their seeds side by side."""
        axes = self.task_lr, self.patch_size, self.patch_num_per_img, self.seeds
        return [Setting(*values) for values in itertools.product(*axes)]

    def label(self, setting: Setting, with_seed: bool = False) -> str:
        """The setting by what varies in this sweep, like "task_lr 0.001, patch_size 64"; "" where nothing does."""
        varied = {"task_lr": self.task_lr, "patch_size": self.patch_size, "patch_num_per_img": self.patch_num_per_img}
        if with_seed:
            varied["seed"] = self.seeds
        values = asdict(setting)
        return ", ".join(f"{name} {values[name]}" for name, given in varied.items() if len(given) > 1)

    def label_after(self, setting: Setting, steps: int) -> str:
        """What the result after so many steps is called, like "3 steps, task_lr 0.001"."""
        return ", ".join(filter(None, [step_label(steps), self.label(setting) if steps else ""]))


def picture_path(output_dir: Path, name: Path, setting: Setting, steps: int) -> Path:
    """Where a result is kept: the unadapted one once, the others by setting and steps."""
    folder = "unadapted"
    if steps:
        parts = [f"{key}_{value}" for key, value in asdict(setting).items()]
        folder = Path("-".join(parts), f"steps_{steps}")
    return output_dir / "pictures" / folder / name.with_suffix(".png")
