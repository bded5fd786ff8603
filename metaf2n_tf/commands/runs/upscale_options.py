"""What `test.py` is asked for: its flags, which of them decide the pixels, and where the results go."""

from dataclasses import dataclass, field
from pathlib import Path

from metaf2n_tf import places
from metaf2n_tf.commands.runs.deciding import APART, BY_CONTENT
from metaf2n_tf.data import formats, images
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.finish import outscale
from metaf2n_tf.finish.finishing import Finishing
from metaf2n_tf.finish.paste import check_strength
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.upscale import album, steps
from metaf2n_tf.upscale.patches import check_patches
from metaf2n_tf.upscale.steps import Steps

Variant = tuple[Steps, float]  # what was asked for: a number of steps, and their strength


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
        if self.adapt != album.PER_PHOTO and not self.adapts:
            raise UserError(Argument("adapt", self.adapt), ": nothing is adapted. Remedy: leave it out")
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
        return self.adapt != album.PER_PHOTO

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

    def read_photo(self, name: Path) -> images.Photo:
        """A photo of the folder.

        Raises:
          UserError: it cannot be used, or its result would be too large.
        """
        photo = images.read_photo(self.input_dir / name, max(SCALE, self.outscale))
        formats.check_result_size(self.format, *outscale.result_size(photo.size, self.outscale))
        return photo

    def outputs(self, name: Path) -> dict[Variant, Path]:
        """Where a photo's results go: OUTPUT/NAME.png, or OUTPUT/steps_N/NAME.png and so on for several."""
        result = name.with_name(f"{name.stem}{self.suffix}.{self.format}")
        return {variant: place / result for variant, place in self.variants.items()}

    def in_output(self, path: Path) -> str:
        """The path of a result as records have it."""
        return path.relative_to(self.output_dir).as_posix()
