"""Face pairs on disk: `FACE_DIR/Face_LQ/NAME_i.png` and `FACE_DIR/Face_HQ/NAME_i.png`, as published."""

import re
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks.rrdbnet import SCALE

LQ, HQ = "Face_LQ", "Face_HQ"


def _face_files(face_dir: Path, side: str, photo: Path) -> dict[int, Path]:
    """`{index: file}` of a photo's faces, in the order of their index."""
    pattern = re.compile(re.escape(photo.stem) + r"_(\d+)\.png")
    matches = [(pattern.fullmatch(file.name), file) for file in (face_dir / side / photo.parent).glob("*.png")]
    return dict(sorted((int(match[1]), file) for match, file in matches if match))


def read_pairs(face_dir: Path, photo: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The faces of one photo, in the order of their index.

    Args:
      face_dir: holds Face_LQ and Face_HQ.
      photo: the photo's path relative to the folder of photos; its name without suffix is NAME.

    Returns:
      (LQ, HQ) pairs, uint8 (h, w, 3) and (4h, 4w, 3); empty where the photo has no faces. An HQ face without an LQ
      one is what a killed writer leaves, and does not count.

    Raises:
      UserError: an LQ face without its HQ one, unreadable, or not x4 of each other.
    """
    hq_files = _face_files(face_dir, HQ, photo)
    pairs = []
    for index, lq_file in _face_files(face_dir, LQ, photo).items():
        if index not in hq_files:
            raise UserError(f"{lq_file}: its partner in {HQ} is missing")
        lq, hq = images.read_rgb8(lq_file), images.read_rgb8(hq_files[index])
        if hq.shape[:2] != (SCALE * lq.shape[0], SCALE * lq.shape[1]):
            raise UserError(f"{hq_files[index]}: {hq.shape[1]}x{hq.shape[0]} is not x4 of its LQ face")
        pairs.append((lq, hq))
    return pairs


def write_pairs(face_dir: Path, photo: Path, pairs: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
    """Make `{index: (LQ, HQ)}` the faces of a photo; those of an earlier run are removed.

    HQ is written first and LQ removed first, so that an LQ face always has its partner.
    """
    for side in (LQ, HQ):
        files.make_folder(face_dir / side / photo.parent)
        for index, file in _face_files(face_dir, side, photo).items():
            if index not in pairs:
                file.unlink()
    for index, (lq, hq) in pairs.items():
        for side, crop in ((HQ, hq), (LQ, lq)):
            images.write_rgb8(face_dir / side / photo.parent / f"{photo.stem}_{index}.png", crop)
