"""Where a photo's face pairs come from: a folder that holds them, or a detector and a restorer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from metaf2n_tf import places
from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces import folder, restorers
from metaf2n_tf.faces.finder import FaceFinder
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.upscale.model import MetaF2N


class FaceSource:
    """The faces of photos. settings: what decides them beside photos and face files, by the names in `SETTINGS`."""

    SETTINGS = ("detector", "detector_weights", "restorer", "restorer_weights")

    def __init__(self, face_dir: Path | None, detector: str | None, restorer: str | None, model: MetaF2N):
        """Choose what is needed; see `FaceFinder` for `detector` and `restorer`, which `face_dir` makes superfluous.

        Raises:
          UserError: as `FaceFinder`, or the restorer takes exemplars, which can only be named where a folder of faces
            is made.
        """
        self._face_dir, self._finder = face_dir, None
        if face_dir is not None:
            self._pairs: Callable[[np.ndarray, Path], list[Pair]] = lambda _, name: folder.read_pairs(face_dir, name)
        else:
            row = restorers.RESTORERS.get((restorer or "").partition(":")[0])
            if row and row.exemplars:
                raise UserError(
                    Argument("restorer", restorer),
                    f": needs HQ photos of the persons. Remedy: {places.command('faces')} with --exemplar_dir, and its "
                    "faces as ",
                    Argument("face_dir"),
                )
            self._finder = FaceFinder(detector, restorer, sr=lambda: model.unadapted)
            self._pairs = self._finder.pairs
        self.settings = {name: getattr(self._finder, name, None) for name in self.SETTINGS}

    def load(self) -> None:
        """Load what finds and restores faces, before any photo is seen; a UserError where it cannot be used."""
        if self._finder:
            self._finder.load()

    def inputs(self, name: Path) -> list[int]:
        """Checksums of the files of a photo's faces, where they come from files."""
        return [] if self._face_dir is None else list(map(files.crc32_of, folder.face_files(self._face_dir, name)))

    def pairs(self, name: Path, rgb: np.ndarray) -> list[Pair]:
        """The (LQ, HQ) faces of a photo, uint8 (h, w, 3) and (4h, 4w, 3).

        Args:
          name: its path relative to the folder of photos.
          rgb: its pixels, float32 (H, W, 3) in [0, 1].

        Raises:
          UserError: the folder's faces cannot be used.
        """
        return self._pairs(rgb, name)
