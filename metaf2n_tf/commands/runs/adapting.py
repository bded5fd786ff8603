"""What `test.py` super-resolves a photo with: weights that are adapted to its faces alone, or to those of an album."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.photos import process_all
from metaf2n_tf.commands.runs.saved_weights import SavedWeights
from metaf2n_tf.commands.runs.upscale_options import Options
from metaf2n_tf.data import images
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.restored import PlacedFace
from metaf2n_tf.networks import sr
from metaf2n_tf.tiles import Area
from metaf2n_tf.upscale import album, steps
from metaf2n_tf.upscale.adaptation import Adaptation
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.upscale.patches import seed_of, used_whole
from metaf2n_tf.upscale.steps import Steps
from metaf2n_tf.wording import counted

Inputs = Callable[[Path], dict]  # what tells a photo and its faces from others; an OSError where they cannot be read


class Prepared(NamedTuple):
    """What one photo is super-resolved with.

    count: how many faces it has; faces: those that are shown or pasted; results: of the adaptation, see
    `Adaptation.results`.
    """

    count: int
    faces: Sequence[PlacedFace]
    adaptation: Adaptation
    results: Iterable[tuple[Steps, int, sr.Params]]


def _say_used_whole(whose: str, patch_size: int) -> None:
    cli.say(f"{whose}: no face is larger than --patch_size {patch_size}, so the first one is used whole")


def _remarks(adaptation: Adaptation, used: Mapping[Steps, int]) -> str | None:
    return "; ".join(map(cli.spelled, adaptation.remarks(used))) or None


class Alone:
    """Each photo is adapted to by itself."""

    def __init__(self, options: Options, model: MetaF2N, faces: FaceSource | None):
        """Options are those of `test.py`; faces: where they come from, None where no face is looked for."""
        self._options, self._model, self._faces = options, model, faces

    def prepare(self, name: Path, photo: images.Photo) -> Prepared:
        """Find a photo's faces; its adaptation begins when its results are asked for.

        Raises:
          UserError: a face cannot be used.
        """
        options = self._options
        faces = self._faces.faces(name, photo.rgb, placed=options.finishing.pastes) if self._faces else []
        pairs = [face.pair for face in faces]
        if used_whole(pairs, options.patch_size):
            _say_used_whole(str(name), options.patch_size)
        adaptation = self._model.adapt(
            pairs,
            task_lr=options.task_lr,
            patch_size=options.patch_size,
            patch_num_per_img=options.patch_num_per_img,
            seed=seed_of(options.seed, name),
            auto=steps.is_auto(options.fine_tune_num[0]),
        )
        return Prepared(len(faces), faces, adaptation, adaptation.results(options.fine_tune_num))

    def note(self, name: Path, adaptation: Adaptation, used: Mapping[Steps, int]) -> str | None:
        """What a user must know of a photo's results, `{asked: number of steps that is used}`; it is said."""
        if not self._options.adapts:
            return None
        note = _remarks(adaptation, used) if adaptation.patches else "no face, so super-resolved unadapted"
        if note:
            cli.say(f"{name}: {note}")
        return note


def album_identity(names: Sequence[Path], inputs: Inputs) -> str:
    """What tells the album of these photos from others."""
    return album.identity({name: _read(inputs, name) for name in names})


def _read(inputs: Inputs, name: Path) -> dict | None:
    try:
        return inputs(name)
    except OSError:  # said when the photo is processed
        return None


class Together:
    """All photos are adapted to at once: first `gather` them, then `adapt`, then `prepare` each."""

    def __init__(self, options: Options, model: MetaF2N, faces: FaceSource | None, inputs: Inputs, place: Path):
        """Start without a photo.

        Args:
          options, model, faces: as for `Alone`.
          inputs: see `Inputs`.
          place: an empty folder, for faces that are to be shown or pasted later.
        """
        self._options, self._model, self._faces, self._inputs = options, model, faces, inputs
        self._place = place if options.report or options.finishing.pastes else None
        self._lies: dict[Path, list[Area | None]] = {}
        self._seen: dict[Path, dict | None] = {}
        self._note: str | None = None
        self._album = album.Album(
            patch_size=options.patch_size,
            patch_num_per_img=options.patch_num_per_img,
            seed=options.seed,
            auto=steps.is_auto(options.fine_tune_num[0]),
            of_a_photo=album.most_of_a_photo(options.adapt),
        )

    def _gather(self, photo: Path) -> str:
        name = photo.relative_to(self._options.input_dir)
        self._seen[name] = _read(self._inputs, name)
        rgb = self._options.read_photo(name).rgb
        faces = self._faces.faces(name, rgb, placed=self._options.finishing.pastes) if self._faces else []
        if self._place:
            lq: dict[int | None, np.ndarray] = {index: face.lq for index, face in enumerate(faces)}
            hq: dict[int | None, np.ndarray] = {index: face.hq for index, face in enumerate(faces)}
            folder.write_pictures(self._place, name, {folder.LQ: lq, folder.HQ: hq})
            self._lies[name] = [face.place for face in faces]
        self._album.add(name, [face.pair for face in faces])
        return f"{name}: {counted(len(faces), 'face', 'faces')} for the album"

    def gather(self, photos: Sequence[Path], others: Sequence[Path]) -> tuple[list[Path], int]:
        """Take the faces of the photos that are to be super-resolved and, if any of them can be, of the others.

        Returns:
          Those of the former that can be used, and how many of all cannot.
        """
        failed = process_all(photos, self._gather)
        usable = [photo for photo in photos if photo.relative_to(self._options.input_dir) in self._album.faces]
        if usable and others:
            failed += process_all(others, self._gather)
        return usable, failed

    @property
    def identity(self) -> str:
        """What tells the photos, as they were gathered, from others."""
        return album.identity(self._seen)

    def adapt(self, saved: SavedWeights | None) -> None:
        """Adapt to the faces that were gathered, say to how many, and save the weights if asked to.

        Raises:
          UserError: they cannot be written.
        """
        options, faces = self._options, self._album.faces
        self._adaptation = self._model.adapt_together(self._album, task_lr=options.task_lr)
        self._results = list(self._adaptation.results(options.fine_tune_num))
        if self._album.used_whole:
            _say_used_whole("album", options.patch_size)
        if self._adaptation.patches:
            patches = counted(self._adaptation.patches, "patch", "patches")
            having = f"{sum(map(bool, faces.values()))} of {counted(len(faces), 'photo', 'photos')}"
            cli.say(f"album: adapted to {patches} of {counted(sum(faces.values()), 'face', 'faces')} in {having}")
            self._note = _remarks(self._adaptation, {asked: number for asked, number, _ in self._results})
        else:
            self._note = "no face in any photo, so super-resolved unadapted"
        if self._note:
            cli.say(f"album: {self._note}")
        if saved is None:
            return
        for asked, _, params in self._results:
            for strength in options.strength:
                weights = self._adaptation.at_strength(params, strength)
                saved.write(Path(), (asked, strength), weights, self._model.weights)

    def prepare(self, name: Path, _: images.Photo) -> Prepared:
        """What a photo that was gathered is super-resolved with."""
        pairs = folder.read_pairs(self._place, name) if self._place else []
        faces = [PlacedFace(*pair, place) for pair, place in zip(pairs, self._lies.get(name, []), strict=True)]
        return Prepared(self._album.faces[name], faces, self._adaptation, self._results)

    def note(self, *_: object) -> str | None:
        """What a user must know of the album's results; it was said when they were made."""
        return self._note
