"""Faces on disk: `FACE_DIR/Face_LQ/NAME_i.png` and `FACE_DIR/Face_HQ/NAME_i.png`, as published; read as any picture.

To look at, on request: the squares that the restorer took and gave, and the photo with its faces drawn on it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metaf2n_tf import places
from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.networks.sr import SCALE

LQ, HQ = "Face_LQ", "Face_HQ"
ALIGNED_LQ, ALIGNED_HQ, PREVIEW = "Aligned_LQ", "Aligned_HQ", "Preview"
SIDES = (LQ, HQ, ALIGNED_LQ, ALIGNED_HQ, PREVIEW)

# {side: {index of the face, or None for the whole photo: uint8 (h, w, 3) RGB}}
Pictures = Mapping[str, Mapping[int | None, np.ndarray]]


def _face_files(face_dir: Path, side: str, photo: Path) -> list[tuple[int, Path]]:
    """(index, file) of a photo's faces, in the order of their index; any kind of picture, `.jpg` and `.PNG` too."""
    pattern = re.compile(rf"{re.escape(photo.stem)}_(\d+)\.(?i:{'|'.join(images.PICTURES)})")
    place = face_dir / side / photo.parent
    matches = [(pattern.fullmatch(name), name) for name in (os.listdir(place) if place.is_dir() else ())]
    return sorted((int(match[1]), place / name) for match, name in matches if match)


def _one_an_index(found: list[tuple[int, Path]]) -> dict[int, Path]:
    """`{index: file}`; a UserError where two files are of one index."""
    files_of = dict(found)
    for index, file in found:
        if files_of[index] != file:
            raise UserError(f"{file} and {files_of[index].name} are both face {index}. Remedy: leave one of them there")
    return files_of


def _file(face_dir: Path, side: str, photo: Path, index: int | None) -> Path:
    name = photo.stem if index is None else f"{photo.stem}_{index}"
    return face_dir / side / photo.parent / f"{name}.png"


def check_face_dir(face_dir: Path | None) -> None:
    """Raise a UserError for a folder without faces; None means that no folder is named."""
    if face_dir is not None and not (face_dir / LQ).is_dir():
        raise UserError(
            Argument("face_dir", face_dir),
            f": there is no {LQ} in it. Remedy: {places.command('faces')} with --output_dir {face_dir}, or leave ",
            Argument("face_dir"),
            " out to have the faces found here",
        )


def list_photos(
    input_dir: Path, face_dir: Path | None, output_dir: Path, extensions: Sequence[str], recursive: bool
) -> tuple[Path, list[Path]]:
    """The folder of the photos and the photos, without faces and results that may lie in it; see `listing`.

    Raises:
      UserError: as `listing.list_photos`, or the results would lie among the photos.
    """
    photos = input_dir.parent if input_dir.is_file() else input_dir  # whose neighbours are not listed, but are there
    if files.real(output_dir) == files.real(photos):
        raise UserError(Argument("output_dir", output_dir), ": is the folder of the photos. Remedy: name another one")
    faces = [] if face_dir is None else [face_dir / side for side in SIDES]
    return listing.list_photos(input_dir, extensions, recursive, output_dir, [output_dir, *faces])


def face_files(face_dir: Path, photo: Path) -> list[Path]:
    """The files of a photo's faces, LQ and HQ, whole pairs or not."""
    return [file for side in (LQ, HQ) for _, file in _face_files(face_dir, side, photo)]


def read_pairs(face_dir: Path, photo: Path) -> list[Pair]:
    """The faces of one photo, in the order of their index.

    Args:
      face_dir: holds Face_LQ and Face_HQ.
      photo: the photo's path relative to the folder of photos; its name without suffix is NAME.

    Returns:
      (LQ, HQ) pairs, uint8 (h, w, 3) and (4h, 4w, 3); empty where the photo has no faces. An HQ face without an LQ
      one is what a killed writer leaves, and does not count.

    Raises:
      UserError: an LQ face without its HQ one, two of one index, unreadable, or not x4 of each other.
    """
    lq_files, hq_files = (_one_an_index(_face_files(face_dir, side, photo)) for side in (LQ, HQ))
    pairs = []
    for index, lq_file in lq_files.items():
        if index not in hq_files:
            raise UserError(f"{lq_file}: its partner in {HQ} is missing")
        lq, hq = images.read_rgb8(lq_file), images.read_rgb8(hq_files[index])
        if hq.shape[:2] != (SCALE * lq.shape[0], SCALE * lq.shape[1]):
            raise UserError(f"{hq_files[index]}: {hq.shape[1]}x{hq.shape[0]} is not x4 of its LQ face")
        pairs.append((lq, hq))
    return pairs


def write_pictures(face_dir: Path, photo: Path, pictures: Pictures) -> None:
    """Make these the pictures of a photo; those of an earlier run on the same sides are removed.

    LQ faces are removed first and written last, so that at any moment each has its own partner.
    """
    for side in pictures:
        if side != PREVIEW:
            written = {_file(face_dir, side, photo, index) for index in pictures[side]}
            for _, file in _face_files(face_dir, side, photo):
                if side == LQ or file not in written:
                    files.remove(file)
    for side in sorted(pictures, key=lambda side: side == LQ):
        for index, picture in pictures[side].items():
            path = _file(face_dir, side, photo, index)
            files.make_folder(path.parent)
            images.write_rgb8(path, picture)
