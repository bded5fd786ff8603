"""The exemplars of an `exemplar_dir`: HQ photos of persons, each with 68 landmarks, and whose face is whose.

A folder a person, or one flat folder of a single person. A face is given to a person only by what the user wrote: the
name of a folder, or a line of the map.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import Argument, Message, UserError
from metaf2n_tf.faces import align
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.exemplars.landmarks import INNER, Landmarker, five_points, read_landmarks
from metaf2n_tf.faces.restored import Source

logger = logging.getLogger(__name__)

SIZE = 512  # of the aligned faces that ASFFNet takes
LANDMARK_SUFFIX = ".txt"


@dataclass(frozen=True, eq=False)
class Exemplar:
    """file: where it comes from; rgb: uint8 (512, 512, 3), aligned; landmarks: float64 (68, 2), in its pixels."""

    file: Path
    rgb: np.ndarray
    landmarks: np.ndarray


def enlarged_as_published(rgb: np.ndarray) -> np.ndarray:
    """A picture with a side below 512 pixels becomes 512 x 512, as the published scripts look at it; uint8."""
    return cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA) if min(rgb.shape[:2]) < SIZE else rgb


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that are named like pictures, in name order.

    Raises:
      UserError: it cannot be read.
    """
    try:
        os.listdir(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from None
    return sorted(filter(listing.is_called_picture, map(Path, listing.walk(str(folder), recursive=False))))


def landmark_file(picture: Path) -> Path | None:
    """`NAME.png.txt`, as published, or `NAME.txt` beside a picture, where there is one.

    Raises:
      UserError: two pictures would share a `NAME.txt`.
    """
    own, shared = picture.with_name(picture.name + LANDMARK_SUFFIX), picture.with_suffix(LANDMARK_SUFFIX)
    if own.is_file() or not shared.is_file():
        return own if own.is_file() else None
    twins = [other.name for other in pictures_in(picture.parent) if other.stem == picture.stem]
    if len(twins) > 1:
        raise UserError(f"{shared}: the landmarks of {' or '.join(twins)}? Remedy: {own.name} for each")
    return shared


def _align(rgb: np.ndarray, five: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The aligned square of a photo by (5, 2) points, and the transform (2, 3) to it; a large photo is shrunk first."""
    forward, _ = align.fit_face(five, SIZE)
    shrink = min(np.hypot(*forward[:, 0]), 1.0)
    size = np.maximum(np.rint(np.multiply(rgb.shape[1::-1], shrink)), 1).astype(int)
    small = cv2.resize(rgb, size.tolist(), interpolation=cv2.INTER_AREA) if shrink < 1 else rgb
    factors = rgb.shape[1::-1] / size
    from_small = np.column_stack([forward[:, :2] * factors, forward @ [*(factors / 2 - 0.5), 1]])
    return align.warp_to_squares(small, [from_small], SIZE, rim=1)[0], forward


class ExemplarReader:
    """Reads HQ photos as exemplars."""

    def __init__(self, find_faces: Callable[[np.ndarray], list[Face]], landmarker: Landmarker):
        """find_faces: those of a uint8 (H, W, 3) photo."""
        self._find_faces, self._landmarker = find_faces, landmarker

    def __call__(self, file: Path) -> Exemplar:
        """Read a photo, with the landmark file beside it where there is one.

        A 512 x 512 picture with landmarks is taken as it is. One with a side below that becomes 512 x 512, as the
        published scripts see it, and its landmarks are of that; any other is aligned, by its landmarks or by those of
        its largest face.

        Raises:
          UserError: unreadable, a bad landmark file or one of another picture, or no face in it.
        """
        rgb, written = images.read_rgb8(file), landmark_file(file)
        if written is None:
            return self._find(file, rgb)
        landmarks, rgb = read_landmarks(written), enlarged_as_published(rgb)
        inside = np.all((landmarks[INNER] >= 0) & (landmarks[INNER] < rgb.shape[1::-1]), axis=1)
        if inside.mean() < 0.5 or not align.can_fit(five_points(landmarks)):
            raise UserError(f"{written}: the landmarks do not lie on a face in {rgb.shape[1]}x{rgb.shape[0]} pixels")
        if rgb.shape[:2] == (SIZE, SIZE):
            return Exemplar(file, rgb, landmarks)
        square, forward = _align(rgb, five_points(landmarks))
        return Exemplar(file, square, landmarks @ forward[:, :2].T + forward[:, 2])

    def _find(self, file: Path, rgb: np.ndarray) -> Exemplar:
        faces = [face for face in self._find_faces(rgb) if align.can_fit(face.landmarks)]
        if not faces:
            raise UserError(f"{file}: no face in it. Remedy: another photo, or landmarks in {file.name}.txt beside it")
        if len(faces) > 1:
            logger.info(f"exemplar {file}: the largest of its {len(faces)} faces is taken")
        largest = max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))
        square, _ = _align(rgb, largest.landmarks)
        landmarks = self._landmarker(square)
        if landmarks is None:
            raise UserError(f"{file}: no landmarks in its face. Remedy: landmarks in {file.name}.txt beside it")
        return Exemplar(file, square, landmarks)


def read_map(path: Path) -> dict[tuple[str, int], str]:
    """`{(photo, index of the face): person}` from lines `PHOTO<TAB>INDEX<TAB>PERSON`.

    Raises:
      UserError: no such file, or a line that is not of this form or contradicts another.
    """
    named = {}
    for number, line in enumerate(files.read_lines(path, "exemplar_map"), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("\t")]
        if len(parts) != 3 or not parts[1].isdecimal():
            raise UserError(
                Argument("exemplar_map", path), f": line {number} is not 'PHOTO<TAB>INDEX OF THE FACE<TAB>PERSON'"
            )
        photo, index, person = Path(parts[0]).as_posix(), int(parts[1]), parts[2]
        if named.setdefault((photo, index), person) != person:
            raise UserError(
                Argument("exemplar_map", path), f": line {number} names another person for face {index} of {photo}"
            )
    return named


class Library:
    """All persons of a folder. Their photos are read when a face of theirs is met."""

    def __init__(self, folder: Path, map_file: Path | None = None):
        """Look what is there.

        Args:
          folder: of folders of photos, or of photos.
          map_file: see `read_map`; its persons are names of folders. None: names decide.

        Raises:
          UserError: no such folder, nothing in it, both photos and folders, or a map that names nobody of them.
        """
        if not folder.is_dir():
            raise UserError(Argument("exemplar_dir", folder), ": no such folder")
        flat = pictures_in(folder)
        inside = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
        if flat and inside:
            raise UserError(
                Argument("exemplar_dir", folder),
                f": holds both photos ({flat[0].name}) and folders ({inside[0].name}). Remedy: photos of one person, "
                "or a folder for each person",
            )
        self.flat = bool(flat)
        self._pictures = {folder.resolve().name: flat} if flat else {entry.name: pictures_in(entry) for entry in inside}
        empty = [name for name, pictures in self._pictures.items() if not pictures]
        if empty or not self._pictures:
            raise UserError(Argument("exemplar_dir", folder / empty[0] if empty else folder), ": no photos there")
        self._map_file, self._map = map_file, {} if map_file is None else read_map(map_file)
        for (photo, index), person in self._map.items():
            if person not in self._pictures:
                raise UserError(
                    Argument("exemplar_map", map_file),
                    f": {person} (face {index} of {photo}) is no folder of {folder}, which has "
                    f"{', '.join(self._pictures)}",
                )
        self._exemplars: dict[str, list[Exemplar]] = {}

    @property
    def persons(self) -> list[str]:
        """Their names, those of their folders."""
        return list(self._pictures)

    def person_of(self, photo: Source, index: int) -> str:
        """Whose face it is, as far as the user said.

        Without a map, only the one face found in a photo is named: by the photo's own name, or that of a folder it lies
        in, which is the person's; or there is a flat folder of one person.

        Raises:
          UserError: nothing says whose; the message why.
        """
        if self._map_file is not None:
            person = self._map.get((photo.name.as_posix(), index))
            if person is None:
                raise UserError(f"not in {self._map_file}")
            return person
        remedy = ". Remedy: ", Argument("exemplar_map")
        if photo.faces > 1:
            raise UserError(f"one of {photo.faces} faces, and nothing says whose", *remedy)
        if self.flat:
            return self.persons[0]
        names = [photo.name.stem, *photo.name.parent.parts]
        matches = [name for name in dict.fromkeys(names) if name in self._pictures]
        if len(matches) != 1:
            raise UserError(f"its name is that of {' and of '.join(matches) or 'no person'}", *remedy)
        return matches[0]

    def exemplars(self, person: str, read: Callable[[Path], Exemplar]) -> Sequence[Exemplar]:
        """A person's photos, read on the first call; those that cannot be used are reported and left out.

        Raises:
          UserError: none can be used.
        """
        if person not in self._exemplars:
            self._exemplars[person] = []
            for file in self._pictures[person]:
                try:
                    self._exemplars[person].append(read(file))
                except UserError as error:
                    logger.warning(Message("exemplar left out: ", error))
        if not self._exemplars[person]:
            raise UserError(f"none of the exemplars of {person} can be used")
        return self._exemplars[person]
