"""Where a photo's face pairs come from: a folder that holds them, or a detector and a restorer."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from metaf2n_tf import places
from metaf2n_tf.data import files
from metaf2n_tf.data.images import to_levels
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces import folder, restorers
from metaf2n_tf.faces.crop import face_slices, find_crop
from metaf2n_tf.faces.finder import FaceFinder
from metaf2n_tf.faces.restored import Pair, PlacedFace, RestoredFace
from metaf2n_tf.upscale.model import MetaF2N


def placed(restored: Sequence[RestoredFace], size: tuple[int, int]) -> list[PlacedFace]:
    """Faces that were found in a photo of this size, (height, width), with their places."""
    return [PlacedFace(face.lq, face.hq, face_slices(face.face, size)) for face in restored]


def _found(finder: FaceFinder, name: Path, rgb: np.ndarray, _: bool) -> list[PlacedFace]:
    return placed(finder(rgb, name).restored, rgb.shape[:2])


def _of_folder(face_dir: Path, min_face: int, name: Path, rgb: np.ndarray, placed: bool) -> list[PlacedFace]:
    pairs = [pair for pair in folder.read_pairs(face_dir, name) if min(pair[0].shape[:2]) >= min_face]
    levels = to_levels(rgb) if placed and pairs else None
    return [PlacedFace(lq, hq, None if levels is None else find_crop(levels, lq)) for lq, hq in pairs]


class FaceSource:
    """The faces of photos. settings: what decides them beside photos and face files, by the names in `SETTINGS`."""

    SETTINGS = ("detector", "detector_weights", "restorer", "restorer_weights")

    def __init__(
        self, face_dir: Path | None, detector: str | None, restorer: str | None, model: MetaF2N, min_face: int = 0
    ):
        """Choose what is needed.

        Args:
          face_dir: holds the faces, and makes a detector and a restorer superfluous; None finds them.
          detector, restorer: see `FaceFinder`.
          model: its SR network may restore.
          min_face: least LQ pixels of a face's shorter side; smaller ones are left out.

        Raises:
          UserError: as `FaceFinder`, or the restorer takes exemplars, which can only be named where a folder of faces
            is made.
        """
        self._face_dir, self._finder = face_dir, None
        if face_dir is not None:
            self._faces: Callable[..., list[PlacedFace]] = functools.partial(_of_folder, face_dir, min_face)
        else:
            row = restorers.RESTORERS.get((restorer or "").partition(":")[0])
            if row and row.exemplars:
                raise UserError(
                    Argument("restorer", restorer),
                    f": needs HQ photos of the persons. Remedy: {places.command('faces')} with --exemplar_dir, and its "
                    "faces as ",
                    Argument("face_dir"),
                )
            self._finder = FaceFinder(detector, restorer, min_face=min_face, sr=lambda: model.unadapted)
            self._faces = functools.partial(_found, self._finder)
        self.settings = {name: getattr(self._finder, name, None) for name in self.SETTINGS}

    @classmethod
    def given(cls, faces: list[PlacedFace]) -> "FaceSource":
        """These faces, whatever the photo."""
        source = cls.__new__(cls)
        source._face_dir, source._finder, source._faces = None, None, lambda *_: faces
        source.settings = dict.fromkeys(cls.SETTINGS)
        return source

    def load(self) -> None:
        """Load what finds and restores faces, before any photo is seen; a UserError where it cannot be used."""
        if self._finder:
            self._finder.load()

    def inputs(self, name: Path) -> list[int]:
        """Checksums of the files of a photo's faces, where they come from files."""
        return [] if self._face_dir is None else list(map(files.crc32_of, folder.face_files(self._face_dir, name)))

    def faces(self, name: Path, rgb: np.ndarray, placed: bool = True) -> list[PlacedFace]:
        """The faces of a photo.

        Args:
          name: its path relative to the folder of photos.
          rgb: its pixels, float32 (H, W, 3) in [0, 1].
          placed: whether those of a folder are looked for in the photo.

        Raises:
          UserError: the folder's faces cannot be used.
        """
        return self._faces(name, rgb, placed)

    def pairs(self, name: Path, rgb: np.ndarray) -> list[Pair]:
        """The (LQ, HQ) faces of a photo, uint8 (h, w, 3) and (4h, 4w, 3), whatever their places; see `faces`."""
        return [face.pair for face in self.faces(name, rgb, placed=False)]
