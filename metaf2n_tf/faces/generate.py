"""`generate_test_faces.py`: find and restore the faces of a folder of photos."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from metaf2n_tf import cli
from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.cut import face_slices
from metaf2n_tf.faces.detect import DETECTORS, Face, detect_faces
from metaf2n_tf.faces.restore import NOTES, RESTORERS
from metaf2n_tf.networks import rrdbnet
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.weights.load import load_weights


class FaceFinder:
    """A detector and a restorer, built once per run."""

    def __init__(self, detector: str, restorer: str, resolver: SuperResolver, params: rrdbnet.Params):
        """Build both by name; `params` are the SR network's, for restorers that use it.

        Raises:
          UserError: a name that is not in `DETECTORS` or `RESTORERS`.
        """
        for flag, name, table in (("detector", detector, DETECTORS), ("restorer", restorer, RESTORERS)):
            if name not in table:
                raise UserError(f"--{flag} {name}: not one of {', '.join(table)}")
        self._detect = DETECTORS[detector]()
        self._restore = RESTORERS[restorer](resolver, params)
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


def run(options: Options) -> int:
    """Write the face pairs of every photo; report photos without faces at the end. Returns the exit code."""
    photos = images.list_photos(options.input_dir, (), recursive=False)
    weights = load_weights(options.model_dir)
    cli.say(f"weights: {weights}")
    params = {name: tf.constant(value) for name, value in weights.sr.items()}
    for side in (folder.LQ, folder.HQ):
        files.make_folder(options.output_dir / side)
    find_faces = FaceFinder(options.detector, options.restorer, SuperResolver(), params)
    without, failed, count = [], 0, 0
    for photo in (progress := tqdm(photos, unit="photo")):
        try:
            found = find_faces(images.read_rgb8(photo))
            for face, lq, hq in found:
                folder.write_pair(options.output_dir, Path(photo.name), face.index, lq, hq)
        except UserError as error:
            cli.say(f"skipped: {error}")
            failed += 1
            continue
        count += len(found)
        progress.set_postfix(faces=count)
        if not found:
            without.append(photo.name)
    cli.say(f"{count} faces of {len(photos) - failed} photos are in {options.output_dir}")
    if without:
        cli.say(f"without a face ({len(without)}): {', '.join(without)}")
    if failed:
        cli.say(f"{failed} of {len(photos)} files could not be used")
    return cli.SOME_FAILED if failed else cli.OK
