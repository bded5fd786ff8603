"""Face pairs on disk: `FACE_DIR/Face_LQ/NAME_i.png` and `FACE_DIR/Face_HQ/NAME_i.png`, as published."""

import re
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks.rrdbnet import SCALE

LQ, HQ = "Face_LQ", "Face_HQ"


def read_pairs(face_dir: Path, photo: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The faces of one photo, in the order of their index.

    Args:
      face_dir: holds Face_LQ and Face_HQ.
      photo: the photo's path relative to the folder of photos; its name without suffix is NAME.

    Returns:
      (LQ, HQ) pairs, uint8 (h, w, 3) and (4h, 4w, 3); empty where the photo has no faces.

    Raises:
      UserError: a face without its partner, unreadable, or not x4 of the other.
    """
    pattern = re.compile(re.escape(photo.stem) + r"_(\d+)\.png")
    found = {}
    for side in (LQ, HQ):
        folder = face_dir / side / photo.parent
        matches = [(pattern.fullmatch(file.name), file) for file in folder.glob("*.png")]
        found[side] = {int(match[1]): file for match, file in matches if match}
    for missing in sorted(found[LQ].keys() ^ found[HQ].keys()):
        present = found[LQ].get(missing) or found[HQ].get(missing)
        raise UserError(f"{present}: its partner in {HQ if missing in found[LQ] else LQ} is missing")
    pairs = []
    for index in sorted(found[LQ]):
        lq, hq = images.read_rgb8(found[LQ][index]), images.read_rgb8(found[HQ][index])
        if hq.shape[:2] != (SCALE * lq.shape[0], SCALE * lq.shape[1]):
            raise UserError(f"{found[HQ][index]}: {hq.shape[1]}x{hq.shape[0]} is not x4 of its LQ face")
        pairs.append((lq, hq))
    return pairs


def write_pair(face_dir: Path, photo: Path, index: int, lq: np.ndarray, hq: np.ndarray) -> None:
    """Write one pair; HQ first, so that a face in Face_LQ always has its partner."""
    for side, crop in ((HQ, hq), (LQ, lq)):
        folder = face_dir / side / photo.parent
        files.make_folder(folder)
        images.write_rgb8(folder / f"{photo.stem}_{index}.png", crop)
