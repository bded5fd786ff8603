"""`generate_test_faces.py`: find and restore the faces of a folder of photos."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf import cli
from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.cut import face_slices
from metaf2n_tf.faces.detect import DETECTORS, Face, detect_faces
from metaf2n_tf.faces.restore import NOTES, RESTORERS
from metaf2n_tf.photos import process_all
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.weights.load import load_weights


class FaceFinder:
    """A detector and a restorer, built once per run."""

    def __init__(self, detector: str, restorer: str, sr: Mapping[str, np.ndarray]):
        """Build both by name; `sr` are the SR network's weights, for restorers that use it.

        Raises:
          UserError: a name that is not in `DETECTORS` or `RESTORERS`.
        """
        for flag, name, table in (("detector", detector, DETECTORS), ("restorer", restorer, RESTORERS)):
            if name not in table:
                raise UserError(f"--{flag} {name}: not one of {', '.join(table)}")
        self._detect = DETECTORS[detector]()
        self._restore = RESTORERS[restorer](SuperResolver(), {name: tf.constant(value) for name, value in sr.items()})
        cli.say(f"faces: detector {detector}, restorer {restorer}")
        if restorer in NOTES:
            cli.say(f"note: {NOTES[restorer]}")

    def __call__(self, rgb: np.ndarray) -> list[tuple[Face, np.ndarray, np.ndarray]]:
        """(face, LQ crop, restored HQ crop) of every face in a uint8 (H, W, 3) photo."""
        faces = detect_faces(self._detect, rgb)
        faces = [face for face in faces if all(part.stop > part.start for part in face_slices(face, rgb.shape[:2]))]
        return [(face, lq, hq) for face, (lq, hq) in zip(faces, self._restore(rgb, faces), strict=True)]


@dataclass(frozen=True)
class Options:
    """The flags of `generate_test_faces.py`."""

    input_dir: Path
    output_dir: Path
    model_dir: Path
    detector: str
    restorer: str
    recursive: bool
    ext: list[str]


def run(options: Options) -> int:
    """Write the face pairs of every photo; report photos without faces at the end. Returns the exit code."""
    sides = [options.output_dir / side for side in (folder.LQ, folder.HQ)]
    photos = images.list_photos(options.input_dir, options.ext, options.recursive, sides)
    weights = load_weights(options.model_dir)
    cli.say(f"weights: {weights}")
    find_faces = FaceFinder(options.detector, options.restorer, weights.sr)
    for side in sides:
        files.make_folder(side)
    counts: dict[Path, int] = {}

    def process(photo: Path) -> dict:
        found = find_faces(images.read_rgb8(photo))
        name = photo.relative_to(options.input_dir)
        folder.write_pairs(options.output_dir, name, {face.index: (lq, hq) for face, lq, hq in found})
        counts[name] = len(found)
        return {"faces": sum(counts.values())}

    failed = process_all(photos, process)
    cli.say(f"{sum(counts.values())} faces of {len(counts)} photos are in {options.output_dir}")
    without = [name.as_posix() for name, count in counts.items() if count == 0]
    if without:
        cli.say(f"without a face ({len(without)}): {', '.join(without)}")
    return cli.SOME_FAILED if failed else cli.OK
