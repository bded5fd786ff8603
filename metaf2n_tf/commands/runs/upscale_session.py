"""What `test.py` makes of one photo: its pictures, and the record of what they were made with."""

import copy
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import deciding, saved_weights
from metaf2n_tf.commands.runs.adapting import Alone, Prepared, Together, album_identity
from metaf2n_tf.commands.runs.loading import load_model
from metaf2n_tf.commands.runs.upscale_options import Options, Variant
from metaf2n_tf.commands.runs.upscale_report import Computed, Finished, part_path
from metaf2n_tf.data import encoding, files, images
from metaf2n_tf.data.formats import FORMATS
from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import sr
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.photo_views import Reported
from metaf2n_tf.upscale.steps import Steps
from metaf2n_tf.weights.writing import say_what_stays
from metaf2n_tf.wording import counted


def _numbers(losses: Sequence[float]) -> list[float | None]:
    return [loss if np.isfinite(loss) else None for loss in losses]


class Session:
    """What one run of `test.py` builds once: weights, compiled functions, detector and restorer, metrics.

    settings: everything that decides the pixels, as it is written to every record; names: where it is from.
    """

    def __init__(self, options: Options, device: str, reported: Reported | None, names: Sequence[Path] = ()):
        """`names` are the photos of the run, which decide an album's results."""
        self.options, self.reported, self.saved = options, reported, saved_weights.of_options(options)
        self.model = load_model(options, device)
        if self.saved:
            say_what_stays(self.saved.file, self.model.weights)
        self.finishing = options.finishing
        self._lost: set[str] = set()
        weights = self.model.weights
        cli.say(f"task_lr: {f'{options.task_lr:g}' if options.task_lr else weights.task_lr_in_words}")
        how = f"precision {options.precision}, tiles of {options.tile}"
        cli.say(f"device: {device}, adaptation in {self.model.mode} mode, {how}")
        self.faces = None
        if options.face_dir is not None or options.adapts or self.finishing.pastes:
            self.faces = FaceSource(options.face_dir, options.detector, options.restorer, self.model, options.min_face)
        self.adapting: Alone | Together = Alone(options, self.model, self.faces)
        self.settings = deciding.settings_of(options, self.model, self.faces, device)
        if options.together:
            self.settings["album"] = album_identity(names, self.inputs)
        self.names = deciding.names_of(options)

    def turned_to(self, options: Options, faces: FaceSource) -> "Session":
        """The same weights and compiled functions for other options of theirs, and other faces."""
        other = copy.copy(self)
        other.options, other.faces, other.finishing = options, faces, options.finishing
        other.adapting = Alone(options, self.model, faces)
        other.settings = deciding.settings_of(options, self.model, faces, self.settings["device"])
        other.names = deciding.names_of(options)
        return other

    def inputs(self, name: Path) -> dict:
        """What tells whether a photo and its faces are those of a record; an OSError where they cannot be read."""
        photo = files.crc32_of(self.options.input_dir / name)
        return {"photo": photo, "faces": self.faces.inputs(name) if self.faces else []}

    def _results_there(self, name: Path) -> dict[str, int | None]:
        """The checksums of a photo's results on disk, None for one that is not there."""
        paths = self.options.outputs(name).values()
        return {self.options.in_output(path): files.crc32_of(path) if path.is_file() else None for path in paths}

    def changes(self, name: Path, record: dict) -> list[str]:
        """What a photo's record says otherwise than this run would; nothing where its results can stay.

        A result counts by its content, and for a report also its part, with the metrics and the ground truth of now.
        """
        expected = self.settings | {"inputs": self.inputs(name), "results": self._results_there(name)}
        if self.saved:
            expected["saved_weights"] = self.saved.there(name)
        if self.reported:
            there = part_path(self.options.output_dir, name).is_file()
            expected["reported"] = self.reported.inputs(name) if there else None
        return [key for key, value in plain(expected).items() if key not in record or record[key] != value]

    def gather(self, photos: Sequence[Path], todo: Sequence[Path], place: Path) -> tuple[list[Path], int]:
        """Adapt to all photos at once, unless none of those that are to do can be used.

        Args:
          photos: of the run.
          todo: those whose results are to be made.
          place: an empty folder.

        Returns:
          Those to do that can be used, and how many of all photos cannot.
        """
        together = Together(self.options, self.model, self.faces, self.inputs, place)
        usable, failed = together.gather(todo, sorted(set(photos) - set(todo)))
        if usable:
            together.adapt(self.saved)
            self.settings["album"], self.adapting = together.identity, together
        return usable, failed

    def _upscale(
        self, name: Path, prepared: Prepared, photo: images.Photo
    ) -> tuple[dict[Variant, Finished], dict[Steps, int]]:
        """`{variant: levels}` of those asked for, and of no step for the report; and the numbers of steps in use.

        The picture of the unadapted weights is made once.
        """
        unadapted: list[Finished] = []
        reports_without = self.options.report and self.finishing.pastes

        def upscale(params: sr.Params) -> Finished:
            if params is self.model.unadapted and unadapted:
                return unadapted[0]
            levels = self.model.upscale(photo.rgb, params, photo.depth)
            without = self.finishing.without_faces()(levels, photo) if reports_without else None
            finished = Finished(self.finishing(levels, photo, prepared.faces), without)
            if params is self.model.unadapted:
                unadapted.append(finished)
            return finished

        levels: dict[Variant, Finished] = {}
        if self.options.report:
            levels[0, 1.0] = upscale(self.model.unadapted)
        used: dict[Steps, int] = {}
        for asked, number, params in prepared.results:
            used[asked] = number
            for strength in self.options.strength:
                weights = prepared.adaptation.at_strength(params, strength)
                levels[asked, strength] = upscale(weights)
                if self.saved and not self.options.together:
                    self.saved.write(name, (asked, strength), weights, self.model.weights)
        return levels, used

    def compute(self, name: Path) -> tuple[dict[Variant, bytes], Computed]:
        """Adapt to one photo and super-resolve it.

        Args:
          name: its path relative to the input folder.

        Returns:
          `{variant: encoded picture}`, and what they come of.

        Raises:
          UserError: the photo or one of its faces cannot be used, or its weights, which are saved on the way, written.
        """
        options, began = self.options, time.monotonic()
        try:
            inputs = self.inputs(name)
        except OSError as error:
            path = error.filename or options.input_dir / name
            raise UserError(f"{path}: not a readable picture ({error.strerror})") from None
        photo = options.read_photo(name)
        prepared = self.adapting.prepare(name, photo)
        levels, used = self._upscale(name, prepared, photo)
        alpha = self.finishing.alpha(photo)
        pictures = {
            variant: encoding.encode(levels[variant].levels, alpha, photo, options.format, options.quality)
            for variant in options.variants
        }
        adaptation, pasted = prepared.adaptation, sum(face.place is not None for face in prepared.faces)
        self._say_lost(name, photo)
        note = self._note(name, prepared, used)
        paths = options.outputs(name)
        record = {
            "photo": name.as_posix(),
            "size": list(photo.size),
            "faces": prepared.count,
            "faces_pasted": pasted if self.finishing.pastes else 0,
            "patches": adaptation.patches,
            "adapted": options.adapts and max(used.values()) > 0,
            "steps_used": used,
            "losses": _numbers(adaptation.losses),
            "held_out_losses": _numbers(adaptation.held_out_losses),
            "mean_weight": adaptation.mean_weight,
            "note": note,
            "tile_used": self.model.resolver.used_tile,
            "precision_used": self.model.resolver.used_precision,
            "seconds": round(time.monotonic() - began, 2),
            "inputs": inputs,
            "results": {options.in_output(paths[key]): zlib.crc32(content) for key, content in pictures.items()},
            **self.names,
            **self.settings,
        }
        pairs = [face.pair for face in prepared.faces]
        return pictures, Computed(name, photo, pairs, adaptation, levels, record)

    def _say_lost(self, name: Path, photo: images.Photo) -> None:
        """What the format cannot keep of a photo, once for all photos of which the same is to be said."""
        if lost := [loss for loss in encoding.losses(photo, self.options.format) if loss not in self._lost]:
            cli.say(f"{name}: as {FORMATS[self.options.format].title}, {'; '.join(lost)} (said once)")
        self._lost.update(lost)

    def _note(self, name: Path, prepared: Prepared, used: dict[Steps, int]) -> str | None:
        """What a user must know of a photo's results; it is said, unless it was said of the whole album."""
        notes = [self.adapting.note(name, prepared.adaptation, used)]
        lost = sum(face.place is None for face in prepared.faces)
        if lost and self.finishing.pastes:
            are = counted(lost, "face of its folder is", "faces of its folder are")
            notes.append(f"{are} no part of the photo, so not pasted")
            cli.say(f"{name}: {notes[-1]}")
        return "; ".join(filter(None, notes)) or None
