"""`scripts/fine_tune_experiment.py`: adapt to each photo in many ways and measure every step count on the way."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import experiment_files
from metaf2n_tf.commands.runs.deciding import APART, BY_CONTENT, VARIED, settings_of
from metaf2n_tf.commands.runs.loading import load_model
from metaf2n_tf.commands.runs.photos import process_all
from metaf2n_tf.data import encoding, files, images
from metaf2n_tf.errors import Message, UserError
from metaf2n_tf.experiment.records import MEASUREMENTS, Records, check_made_with
from metaf2n_tf.experiment.sweep import PICTURES, Configuration, Sweep, picture_path
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.finish.finishing import Finishing
from metaf2n_tf.metrics.ground_truth import GroundTruths
from metaf2n_tf.metrics.measure import NO_GT, Measurer
from metaf2n_tf.networks import sr
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.report.photo import LossCurve, PhotoReport, View, encode_photo
from metaf2n_tf.upscale import photo_views
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.patches import check_patches, seed_of
from metaf2n_tf.upscale.steps import Steps, check_strength, check_task_lr, is_auto, most_steps
from metaf2n_tf.wording import counted


@dataclass(frozen=True)
class Options:
    """The flags of `scripts/fine_tune_experiment.py`; `task_lr` empty is the weights' default.

    Those without a role in their metadata decide the pixels of all that is measured.
    """

    input_dir: Path = field(metadata=APART)
    face_dir: Path | None = field(metadata=BY_CONTENT)
    gt_dir: Path | None = field(metadata=APART)
    output_dir: Path = field(metadata=APART)
    model_dir: Path | None = field(metadata=BY_CONTENT)
    blend: str | None = field(metadata=BY_CONTENT)
    fine_tune_num: list[Steps] = field(metadata=VARIED)
    strength: list[float] = field(metadata=VARIED)
    task_lr: list[float] = field(metadata=VARIED)
    patch_size: list[int] = field(metadata=VARIED)
    patch_num_per_img: list[int] = field(metadata=VARIED)
    seeds: list[int] = field(metadata=VARIED)
    tile: int
    tile_pad: int | None
    precision: str
    detector: str | None
    restorer: str | None
    color_fix: str
    niqe: str = field(metadata=APART)
    save_pictures: bool = field(metadata=APART)
    report: bool = field(metadata=APART)
    recursive: bool = field(metadata=APART)
    ext: list[str] = field(metadata=APART)
    overwrite: bool = field(metadata=APART)
    gpu: str | None = field(metadata=APART)

    def check(self) -> None:
        """Raise a UserError for values that make no sense."""
        for patch_size in self.patch_size:
            check_patches(patch_size, min(self.patch_num_per_img))
        check_task_lr(self.task_lr)
        check_strength(self.strength)
        if most_steps(self.fine_tune_num) < 1:
            raise UserError("--fine_tune_num 0: nothing to compare; 0, the unadapted network, is always measured too")
        folder.check_face_dir(self.face_dir)


class Experiment:
    """What one run builds once, and the measurements so far."""

    def __init__(self, options: Options, records: Records):
        self.options, self.records = options, records
        device = runtime.select_device(options.gpu)
        self.gts = None if options.gt_dir is None else GroundTruths(options.gt_dir, options.recursive)
        self.measurer = Measurer(self.gts is not None, options.niqe)
        for metric, reason in self.measurer.not_computed.items():
            cli.say(Message(f"not computed: {metric}: ", reason))
        if not self.measurer.names:
            raise UserError(f"no metric can be computed. Remedy: --gt_dir, or {places.command('weights')} niqe")
        self.model = load_model(options, device)
        self.sweep = Sweep(
            options.task_lr or [self.model.weights.task_lr_on_record],
            options.patch_size,
            options.patch_num_per_img,
            options.seeds,
            sorted({0, *options.fine_tune_num}, key=lambda steps: (is_auto(steps), steps)),
            options.strength,
        )
        axes = {name: getattr(self.sweep, name) for name in self.sweep.__dataclass_fields__}
        cli.say("; ".join(f"{name} {', '.join(map(str, values))}" for name, values in axes.items()))
        self.faces = FaceSource(options.face_dir, options.detector, options.restorer, self.model)
        self.finishing = Finishing(color_fix=options.color_fix)
        self.made_with = settings_of(options, self.model, self.faces, device)

    @property
    def keeps_pictures(self) -> bool:
        """Whether the results themselves are written, too."""
        return self.options.save_pictures or self.options.report

    def inputs(self, name: Path) -> list[int | None]:
        """Checksums of a photo, its ground truth and its faces, where these come from files."""
        gt = self.gts.crc32(name) if self.gts else None
        return [files.crc32_of(self.options.input_dir / name), gt, *self.faces.inputs(name)]

    def _is_measured(self, name: Path, inputs: list[int | None], configuration: Configuration, steps: Steps) -> bool:
        record = self.records.get(name.as_posix(), configuration, steps)
        if record is None or record["inputs"] != inputs:
            return False
        if not set(self.measurer.names) <= set(record["metrics"]) | set(record["failed"]):
            return False
        path = picture_path(self.options.output_dir, name, configuration, steps)
        return not self.keeps_pictures or (path.is_file() and files.crc32_of(path) == record["picture"])

    def _part_path(self, name: Path) -> Path:
        return experiment_files.part_path(self.options.output_dir, name, self.sweep, self.records)

    def missing(self, name: Path) -> dict[Configuration, Sequence[Steps]]:
        """The configurations, and the numbers of steps of each, that are still to be measured on a photo.

        Everything of one that cannot be read.
        """
        try:
            inputs = self.inputs(name)
            steps = {
                configuration: [n for n in self.sweep.steps if not self._is_measured(name, inputs, configuration, n)]
                for configuration in self.sweep.configurations
            }
        except OSError:
            return dict.fromkeys(self.sweep.configurations, self.sweep.steps)
        return {configuration: missing for configuration, missing in steps.items() if missing}

    def has_part(self, name: Path) -> bool:
        """Whether a measured photo's part of the report is there, if one is asked for."""
        return not self.options.report or self._part_path(name).is_file()

    def process(self, name: Path, missing: Mapping[Configuration, Sequence[Steps]]) -> str:
        """Measure what is missing of one photo. Returns what is said of it.

        Raises:
          UserError: the photo or one of its faces cannot be used.
        """
        photo = images.read_photo(self.options.input_dir / name, SCALE if self.keeps_pictures else 0)
        gt = photo_views.read_gt(self.gts, name, photo_views.x4(photo))
        pairs = self.faces.pairs(name, photo.rgb)
        if not pairs:
            cli.say(f"{name}: no face, so every setting gives the unadapted picture")
        one_photo = _OnePhoto(self, name, photo, gt, pairs, self.inputs(name))
        for loop in dict.fromkeys(configuration.inner_loop for configuration in missing):
            wanted = {tried: steps for tried, steps in missing.items() if tried.inner_loop == loop}
            for auto in (False, True):
                one_photo.measure(loop, auto, wanted)
            self.records.save()
        if self.options.report:
            experiment_files.write_part(self._part_path(name), name, one_photo.part())
        return f"{name}: {counted(len(pairs), 'face', 'faces')}"

    def lacks_gt(self, name: Path) -> bool:
        """Whether there are ground truths, but none that a measured photo could be compared with."""
        record = self.records[name.as_posix(), self.sweep.configurations[0], 0]
        return self.gts is not None and NO_GT in record["failed"].values()

    def write_outputs(self, names: list[Path]) -> bool:
        """Tables, plot and report of the photos that are measured. Returns whether there is any value to show."""
        return experiment_files.write(
            self.options.output_dir,
            [name.as_posix() for name in names],
            self.sweep,
            self.records,
            self.made_with,
            [self._part_path(name) for name in names] if self.options.report else None,
        )


class _OnePhoto:
    """The measurements of one photo; what the unadapted network gives is computed once for all configurations."""

    def __init__(
        self,
        experiment: Experiment,
        name: Path,
        photo: images.Photo,
        gt: np.ndarray | None,
        pairs: list[Pair],
        inputs: list[int | None],
    ):
        self._experiment, self._name, self._photo, self._gt, self._pairs = experiment, name, photo, gt, pairs
        self._inputs = inputs
        self._unadapted: tuple[bytes | None, dict] | None = None

    def _result(self, params: sr.Params) -> tuple[bytes | None, dict]:
        """The picture with these weights, encoded if it is kept, and what a record says of it."""
        model, photo = self._experiment.model, self._photo
        if params is model.unadapted and self._unadapted is not None:
            return self._unadapted
        levels = self._experiment.finishing(model.upscale(photo.rgb, params, photo.depth), photo)
        measured = self._experiment.measurer(images.as_written(levels, photo), self._gt)
        png = encoding.encode(levels, None, photo) if self._experiment.keeps_pictures else None
        picture = None if png is None else zlib.crc32(png)
        failed = {metric: cli.spelled(reason) for metric, reason in measured.failed.items()}
        result = png, {"picture": picture, "metrics": measured.values, "failed": failed}
        if params is model.unadapted:
            self._unadapted = result
        return result

    def measure(self, loop: Configuration, auto: bool, wanted: Mapping[Configuration, Sequence[Steps]]) -> None:
        """One inner loop, up to the largest number of steps that any strength of it wants, or for those that `auto`
        chooses."""
        asked = {steps for of_one in wanted.values() for steps in of_one if is_auto(steps) == auto}
        if not asked:
            return
        experiment, name = self._experiment, self._name
        adaptation = experiment.model.adapt(
            self._pairs,
            task_lr=None if isinstance(loop.task_lr, str) else loop.task_lr,
            patch_size=loop.patch_size,
            patch_num_per_img=loop.patch_num_per_img,
            seed=seed_of(loop.seed, name),
            auto=auto,
        )
        diverged = []
        for steps, used, params in adaptation.results(list(asked)):
            if not is_auto(steps) and adaptation.diverged(steps):
                diverged.append(steps)
            for configuration in [configuration for configuration in wanted if steps in wanted[configuration]]:
                weights = adaptation.at_strength(params, configuration.strength)
                png, values = self._result(weights)
                path = picture_path(experiment.options.output_dir, name, configuration, steps)
                if png is not None:
                    files.make_folder(path.parent)
                    files.write_bytes(path, png)
                upto = None if is_auto(steps) else steps + 1
                experiment.records.put(
                    name.as_posix(),
                    configuration,
                    steps,
                    {
                        "inputs": self._inputs,
                        "faces": len(self._pairs),
                        "patches": adaptation.patches,
                        "adapted": weights is not experiment.model.unadapted,
                        "steps_used": used,
                        "precision_used": experiment.model.resolver.used_precision,
                        "losses": adaptation.losses[:upto],
                        "held_out_losses": adaptation.held_out_losses[:upto],
                        "mean_weight": adaptation.mean_weight,
                        **values,
                    },
                )
        if diverged:
            label = f"task_lr {loop.task_lr}, seed {loop.seed}"
            after = ", ".join(map(str, sorted(diverged)))
            cli.say(f"{name}: the loss diverged with {label}; the unadapted picture counts after these steps: {after}")

    def part(self) -> bytes:
        """The report's part: the pictures of the first seed, the faces, and the losses of every inner loop."""
        experiment, name, sweep = self._experiment, self._name, self._experiment.sweep
        bicubic = photo_views.bicubic(self._photo, photo_views.x4(self._photo))
        views = [View(photo_views.BICUBIC, bicubic, experiment.measurer(bicubic, self._gt).values)]
        losses = []
        for configuration in sweep.configurations:
            records = [experiment.records[name.as_posix(), configuration, steps] for steps in sweep.steps]
            if values := [float(loss) for loss in records[len(sweep.numbers) - 1]["losses"]]:
                losses.append(LossCurve(sweep.label(configuration, with_seed=True) or "inner loss", values))
            if configuration.seed != sweep.seeds[0]:
                continue
            for steps, record in zip(sweep.steps, records, strict=True):
                label = sweep.label_after(configuration, steps)
                if all(view.label != label for view in views):
                    picture = images.read_rgb8(picture_path(experiment.options.output_dir, name, configuration, steps))
                    views.append(View(label, picture, {k: float(v) for k, v in record["metrics"].items()}))
        if self._gt is not None:
            views.append(View(photo_views.GT, self._gt))
        note = None if self._pairs else "no face, so every setting gives the unadapted picture"
        faces = photo_views.show_faces(experiment.model, self._pairs)
        settings = {"faces": len(self._pairs), **experiment.made_with}
        return encode_photo(PhotoReport(name.as_posix(), self._photo.size, views, faces, losses, settings, note))


def run(options: Options) -> int:
    """Run an experiment, or go on with it. Returns the exit code."""
    options.check()
    if files.real(options.input_dir).is_relative_to(files.real(options.output_dir / PICTURES)):
        raise UserError(f"--input_dir {options.input_dir}: results go there. Remedy: another --output_dir")
    input_dir, photos = folder.list_photos(
        options.input_dir, options.face_dir, options.output_dir, options.ext, options.recursive
    )
    options = dataclasses.replace(options, input_dir=input_dir)
    files.make_folder(options.output_dir)
    with files.alone_in(options.output_dir):
        if options.overwrite:
            files.remove(options.output_dir / MEASUREMENTS)
        experiment = Experiment(options, Records(options.output_dir))
        check_made_with(options.output_dir, experiment.made_with)
        names = [photo.relative_to(options.input_dir) for photo in photos]
        missing = {name: experiment.missing(name) for name in names}
        done = {name for name in names if not missing[name] and experiment.has_part(name)}
        if done:
            are = counted(len(done), "photo is", "photos are")
            cli.say(f"{are} measured already: skipped (--overwrite measures them anew)")

        def process(photo: Path) -> str:
            name = photo.relative_to(options.input_dir)
            became = experiment.process(name, missing[name])
            done.add(name)
            return became

        todo = [photo for photo, name in zip(photos, names, strict=True) if name not in done]
        if todo:
            experiment.faces.load()
        failed = process_all(todo, process) if todo else 0
        measured = [name for name in names if name in done]
        if not measured:
            raise UserError(f"--input_dir {options.input_dir}: none of its photos could be measured")
        has_values = experiment.write_outputs(measured)
    without_gt = [name for name in measured if experiment.lacks_gt(name)]
    if without_gt:
        cli.say_names("without a usable ground truth", without_gt)
    complete = has_values and not (failed or without_gt or experiment.measurer.not_computed)
    return cli.OK if complete else cli.SOME_FAILED
