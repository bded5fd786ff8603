"""`generate_test_faces.py`: find and restore the faces of a folder of photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.photos import process_all, say_turned
from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder, restorers
from metaf2n_tf.faces.finder import FaceFinder
from metaf2n_tf.faces.preview import draw_faces
from metaf2n_tf.weights.load import choose_weights, load_weights
from metaf2n_tf.wording import counted


@dataclass(frozen=True)
class Options:
    """The flags of `generate_test_faces.py`."""

    input_dir: Path
    output_dir: Path
    model_dir: Path | None
    detector: str | None
    restorer: str | None
    confidence: float
    min_face: int
    max_faces: int
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
    found = find_faces(rgb, name)
    pictures: dict[str, dict[int | None, np.ndarray]] = {
        folder.HQ: {item.face.index: item.hq for item in found.restored},
        folder.LQ: {item.face.index: item.lq for item in found.restored},
    }
    if options.save_aligned:
        aligned = {item.face.index: item.aligned for item in found.restored if item.aligned}
        pictures[folder.ALIGNED_LQ] = {index: taken for index, (taken, _) in aligned.items()}
        pictures[folder.ALIGNED_HQ] = {index: given for index, (_, given) in aligned.items()}
    if options.preview:
        used = [item.face for item in found.restored]
        pictures[folder.PREVIEW] = {None: draw_faces(rgb, used, found.unused + found.failed)}
    return pictures, len(found.failed)


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

    names = ["detector", "restorer", "confidence", "min_face", "max_faces", "published_crops"]
    names += ["exemplar_dir", "exemplar_map"]
    find_faces = FaceFinder(sr=sr, **{name: getattr(options, name) for name in names})
    if options.save_aligned:
        restorers.check_aligns("save_aligned", find_faces.restorer)
    find_faces.load()
    return find_faces


def _write_faces(options: Options, find_faces: FaceFinder, input_dir: Path, photos: Sequence[Path]) -> int:
    for side in (folder.LQ, folder.HQ):
        files.make_folder(options.output_dir / side)
    counts: dict[Path, int] = {}
    left_out: dict[Path, int] = {}

    def process(photo: Path) -> str:
        name = photo.relative_to(input_dir)
        pictures, left_out[name] = _pictures(options, find_faces, images.read_rgb8(photo), name)
        folder.write_pictures(options.output_dir, name, pictures)
        counts[name] = len(pictures[folder.LQ])
        return f"{name}: {counted(counts[name], 'face', 'faces')}"

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
