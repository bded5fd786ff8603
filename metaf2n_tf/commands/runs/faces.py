"""`generate_test_faces.py`: find and restore the faces of a folder of photos."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.photos import process_all, say_turned
from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import align, detect, folder, restore
from metaf2n_tf.faces.choose import choose
from metaf2n_tf.faces.cut import select_faces
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.preview import draw_faces
from metaf2n_tf.faces.restore import RestoredFace
from metaf2n_tf.faces.source import Source
from metaf2n_tf.weights.load import choose_weights, file_identity, load_weights
from metaf2n_tf.wording import counted


@dataclass(frozen=True)
class Selection:
    """Which faces are used: lowest score, least pixels of the shorter side, and how many of the largest (0: all)."""

    confidence: float = detect.CONFIDENCE
    min_face: int = 0
    max_faces: int = 0

    def __post_init__(self):
        """Raise a UserError for values that make no sense."""
        if not 0 < self.confidence <= 1:
            raise UserError(f"--confidence {self.confidence}: above 0, and at most 1")


class FaceFinder:
    """A detector and a restorer, built once per run.

    detector, restorer: their names; detector_weights, restorer_weights: the identity of what their weight files hold,
    None where they have none of their own.
    """

    def __init__(
        self,
        detector: str | None,
        restorer: str | None,
        setting: restore.Setting,
        selection: Selection,
    ):
        """Choose and build both.

        Args:
          detector, restorer: names in `DETECTORS` and `RESTORERS`, with `:WEIGHTS` for a file of one's own; None for
            the best whose weights are there.
          setting: what a restorer may need beside its weights.
          selection: which faces are used.

        Raises:
          UserError: no such name, its weights are not there, or it cannot do what the setting asks for.
        """
        detector_name, weights, no_detector = choose("detector", detector, detect.DETECTORS, detect.PREFERRED)
        restorer_name, own, no_restorer = choose("restorer", restorer, restore.RESTORERS, restore.PREFERRED)
        for flag, name, path, why in (
            ("detector", detector_name, weights, no_detector),
            ("restorer", restorer_name, own, no_restorer),
        ):
            cli.say(f"{flag}: {name} ({path or 'needs no file'}){why}")
        if restorer_name in restore.NOTES:
            cli.say(f"note: {restore.NOTES[restorer_name]}")
        if setting.exemplar_dir and restorer_name != "asffnet":
            raise UserError(f"--exemplar_dir: {restorer_name} takes no exemplars. Remedy: --restorer asffnet")
        if setting.exemplar_map and not setting.exemplar_dir:
            raise UserError("--exemplar_map: names persons of --exemplar_dir, which is not given")
        self.detector, self.restorer = detector_name, restorer_name
        self._detect = detect.DETECTORS[detector_name].build(*filter(None, [weights]))
        setting = replace(setting, find_faces=functools.partial(detect.detect_faces, self._detect))
        self._restore = restore.RESTORERS[restorer_name].build(*filter(None, [own]), setting)
        self.detector_weights, self.restorer_weights = (path and file_identity(path) for path in (weights, own))
        self._selection = selection

    def find(self, rgb: np.ndarray) -> tuple[list[Face], list[Face]]:
        """The faces of a uint8 (H, W, 3) photo that are used, and the others."""
        found = detect.detect_faces(self._detect, rgb, self._selection.confidence)
        used = [face for face in found if align.can_fit(face.landmarks)]
        used = select_faces(used, rgb.shape[:2], self._selection.min_face, self._selection.max_faces)
        return used, [face for face in found if face not in used]

    def restore(self, rgb: np.ndarray, used: list[Face], others: list[Face], name: Path) -> list[RestoredFace]:
        """Restore the faces that `find` found in the photo of this name and that are used, as far as possible."""
        return self._restore(rgb, used, Source(name, len(used) + len(others)))


@dataclass(frozen=True)
class Options:
    """The flags of `generate_test_faces.py`."""

    input_dir: Path
    output_dir: Path
    model_dir: Path | None
    detector: str | None
    restorer: str | None
    selection: Selection
    published_crops: bool
    save_aligned: bool
    exemplar_dir: Path | None
    exemplar_map: Path | None
    preview: bool
    recursive: bool
    ext: list[str]
    gpu: str | None


def _pictures(options: Options, find_faces: FaceFinder, rgb: np.ndarray, name: Path) -> tuple[folder.Pictures, int]:
    """Everything that is written of one photo, and how many of its faces could not be restored."""
    used, others = find_faces.find(rgb)
    found = find_faces.restore(rgb, used, others, name)
    restored = [item.face for item in found]
    left_out = [face for face in used if face not in restored]
    pictures = {
        folder.HQ: {item.face.index: item.hq for item in found},
        folder.LQ: {item.face.index: item.lq for item in found},
    }
    if options.save_aligned:
        pictures[folder.ALIGNED_LQ] = {item.face.index: item.aligned[0] for item in found}
        pictures[folder.ALIGNED_HQ] = {item.face.index: item.aligned[1] for item in found}
    if options.preview:
        pictures[folder.PREVIEW] = {None: draw_faces(rgb, restored, others + left_out)}
    return pictures, len(left_out)


def run(options: Options) -> int:
    """Write the face pairs of every photo; report photos without faces at the end. Returns the exit code."""
    sides = [options.output_dir / side for side in folder.SIDES]
    for side in sides:
        if files.real(options.input_dir).is_relative_to(files.real(side)):
            raise UserError(f"--input_dir {options.input_dir}: results go there. Remedy: another --output_dir")
    listed = listing.list_photos(options.input_dir, options.ext, options.recursive, options.output_dir, sides)
    find_faces = _face_finder(options)
    files.make_folder(options.output_dir)
    with files.alone_in(options.output_dir):
        return _write_faces(options, find_faces, *listed)


def _face_finder(options: Options) -> FaceFinder:
    runtime.select_device(options.gpu)

    def sr() -> dict[str, np.ndarray]:
        model_dir, why = choose_weights(options.model_dir)
        weights = load_weights(model_dir)
        cli.say(f"weights: {weights}{why}")
        return weights.sr

    flags = ("published_crops", "save_aligned", "exemplar_dir", "exemplar_map")
    setting = restore.Setting(sr, **{flag: getattr(options, flag) for flag in flags})
    return FaceFinder(options.detector, options.restorer, setting, options.selection)


def _write_faces(options: Options, find_faces: FaceFinder, input_dir: Path, photos: Sequence[Path]) -> int:
    for side in (folder.LQ, folder.HQ):
        files.make_folder(options.output_dir / side)
    counts: dict[Path, int] = {}
    left_out: dict[Path, int] = {}

    def process(photo: Path) -> dict:
        name = photo.relative_to(input_dir)
        pictures, left_out[name] = _pictures(options, find_faces, images.read_rgb8(photo), name)
        folder.write_pictures(options.output_dir, name, pictures)
        counts[name] = len(pictures[folder.LQ])
        return {"faces": sum(counts.values())}

    failed = process_all(photos, process)
    faces = counted(sum(counts.values()), "face", "faces")
    cli.say(f"{faces} of {counted(len(counts), 'photo', 'photos')} are in {options.output_dir}")
    some_left_out = [name for name, count in left_out.items() if count]
    if some_left_out:
        are = counted(sum(left_out.values()), "face is", "faces are")
        cli.say_names(f"{are} left out in these photos", some_left_out)
    without = [name.as_posix() for name, count in counts.items() if not count + left_out[name]]
    if without:
        cli.say(f"without a face ({len(without)}): {', '.join(without)}")
        say_turned([input_dir / name for name in without])
    return cli.SOME_FAILED if failed else cli.OK
