"""The exemplars of `--exemplar_dir`: HQ photos of persons, each with 68 landmarks, and whose face is whose.

A folder a person, or one flat folder of a single person. A face is given to a person only by what the user wrote: the
name of a folder, or a line of the map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metaf2n_tf.cli import say
from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.exemplars.landmarks import Landmarker, five_points, read_landmarks
from metaf2n_tf.faces import align
from metaf2n_tf.faces.detect import Face

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


def landmark_file(picture: Path) -> Path | None:
    """`NAME.png.txt`, as published, or `NAME.txt` beside a picture, where there is one."""
    places = (picture.with_name(picture.name + LANDMARK_SUFFIX), picture.with_suffix(LANDMARK_SUFFIX))
    return next((place for place in places if place.is_file()), None)


class ExemplarReader:
    """Reads HQ photos as exemplars."""

    def __init__(self, find_faces: Callable[[np.ndarray], list[Face]], landmarker: Landmarker):
        """find_faces: those of a uint8 (H, W, 3) photo."""
        self._find_faces, self._landmarker = find_faces, landmarker

    def __call__(self, file: Path) -> Exemplar:
        """Read a photo, with the landmark file beside it where there is one.

        A 512 x 512 picture with landmarks is taken as it is, a smaller square with landmarks enlarged first; any other
        is aligned, by its landmarks or by those of its largest face.

        Raises:
          UserError: unreadable, a bad landmark file, or no face in it.
        """
        rgb, written = images.read_rgb8(file), landmark_file(file)
        height, width = rgb.shape[:2]
        if written is None:
            return self._find(file, rgb)
        landmarks = read_landmarks(written)
        if height == width <= SIZE:
            return Exemplar(file, enlarged_as_published(rgb), landmarks)
        forward, _ = align.fit_face(five_points(landmarks), SIZE)
        square = align.warp_to_squares(rgb, [forward], SIZE, rim=1)[0]
        return Exemplar(file, square, landmarks @ forward[:, :2].T + forward[:, 2])

    def _find(self, file: Path, rgb: np.ndarray) -> Exemplar:
        faces = [face for face in self._find_faces(rgb) if align.can_fit(face.landmarks)]
        if not faces:
            raise UserError(f"{file}: no face in it. Remedy: another photo, or landmarks in {file.name}.txt beside it")
        largest = max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))
        forward, _ = align.fit_face(largest.landmarks, SIZE)
        square = align.warp_to_squares(rgb, [forward], SIZE, rim=1)[0]
        landmarks = self._landmarker(square)
        if landmarks is None:
            raise UserError(f"{file}: no landmarks in its face. Remedy: landmarks in {file.name}.txt beside it")
        return Exemplar(file, square, landmarks)


def _pictures(folder: Path) -> list[Path]:
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".")]
    return [file for file in files if file.suffix.lower() != LANDMARK_SUFFIX]


def read_map(path: Path) -> dict[tuple[str, int], str]:
    """`{(photo, index of the face): person}` from lines `PHOTO<TAB>INDEX<TAB>PERSON`.

    Raises:
      UserError: no such file, or a line that is not of this form or contradicts another.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UserError(f"--exemplar_map {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"--exemplar_map {path}: not a text file") from None
    named = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("\t")]
        if len(parts) != 3 or not parts[1].isdecimal():
            raise UserError(f"--exemplar_map {path}: line {number} is not 'PHOTO<TAB>INDEX OF THE FACE<TAB>PERSON'")
        photo, index, person = Path(parts[0]).as_posix(), int(parts[1]), parts[2]
        if named.setdefault((photo, index), person) != person:
            raise UserError(f"--exemplar_map {path}: line {number} names another person for face {index} of {photo}")
    return named


class Library:
    """All persons of a folder. Their photos are read when a face of theirs is met."""

    def __init__(self, folder: Path, map_file: Path | None, read: ExemplarReader):
        """Look what is there.

        Args:
          folder: of folders of photos, or of photos.
          map_file: see `read_map`; its persons are names of folders. None: names decide.
          read: reads a photo.

        Raises:
          UserError: no such folder, nothing in it, both photos and folders, or a map that names nobody of them.
        """
        if not folder.is_dir():
            raise UserError(f"--exemplar_dir {folder}: no such folder")
        inside = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
        self._persons = {entry.name: _pictures(entry) for entry in inside}
        flat = _pictures(folder)
        if flat and self._persons:
            raise UserError(
                f"--exemplar_dir {folder}: holds both photos ({flat[0].name}) and folders ({inside[0].name}). Remedy: "
                "photos of one person, or a folder for each person"
            )
        self.flat = bool(flat)
        if self.flat:
            self._persons = {folder.resolve().name: flat}
        empty = [name for name, pictures in self._persons.items() if not pictures]
        if empty or not self._persons:
            raise UserError(f"--exemplar_dir {folder / empty[0] if empty else folder}: no photos there")
        self._map = None if map_file is None else read_map(map_file)
        for (photo, index), person in (self._map or {}).items():
            if person not in self._persons:
                raise UserError(
                    f"--exemplar_map {map_file}: {person} (face {index} of {photo}) is no folder of {folder}, which "
                    f"has {', '.join(self._persons)}"
                )
        self._read = read
        self._exemplars: dict[str, list[Exemplar]] = {}

    @property
    def persons(self) -> list[str]:
        """Their names, those of their folders."""
        return list(self._persons)

    def person_of(self, photo: Path, index: int, alone: bool) -> str | None:
        """Whose face it is, as far as the user said.

        Args:
          photo: relative to the folder of photos.
          index: of the face.
          alone: whether it is the photo's only one. Without a map, only then does a name decide: the photo's own, or
            that of a folder it lies in, is the person's; or there is but one person.
        """
        if self._map is not None:
            return self._map.get((photo.as_posix(), index))
        if not alone:
            return None
        if self.flat:
            return self.persons[0]
        names = [photo.stem, *photo.parent.parts]
        matches = [name for name in dict.fromkeys(names) if name in self._persons]
        return matches[0] if len(matches) == 1 else None

    def exemplars(self, person: str) -> Sequence[Exemplar]:
        """A person's photos; those that cannot be used are reported and left out.

        Raises:
          UserError: none can be used.
        """
        if person not in self._exemplars:
            usable = []
            for file in self._persons[person]:
                try:
                    usable.append(self._read(file))
                except UserError as error:
                    say(f"exemplar left out: {error}")
            self._exemplars[person] = usable
        if not self._exemplars[person]:
            raise UserError(f"{person}: none of the exemplars can be used")
        return self._exemplars[person]
