"""Where a photo's face pairs come from: a folder that holds them, or a detector and a restorer."""

from pathlib import Path

import numpy as np

from metaf2n_tf.data import images
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.generate import FaceFinder, Selection
from metaf2n_tf.faces.restore import Setting
from metaf2n_tf.upscale.model import MetaF2N, Pair


class FaceSource:
    """The faces of photos. settings: what decides them, for records."""

    def __init__(self, face_dir: Path | None, detector: str | None, restorer: str | None, model: MetaF2N):
        """Build what is needed; see `FaceFinder` for `detector` and `restorer`, which `face_dir` makes superfluous."""
        self._face_dir, self._finder = face_dir, None
        if face_dir is None:
            self._finder = FaceFinder(detector, restorer, Setting(sr=lambda: model.weights.sr), Selection())
        self.settings = {
            "face_dir": None if face_dir is None else str(face_dir),
            "detector": self._finder.detector if self._finder else None,
            "restorer": self._finder.restorer if self._finder else None,
        }

    def pairs(self, name: Path, rgb: np.ndarray) -> list[Pair]:
        """The (LQ, HQ) faces of a photo, uint8 (h, w, 3) and (4h, 4w, 3).

        Args:
          name: its path relative to the folder of photos.
          rgb: its pixels, float32 (H, W, 3) in [0, 1].

        Raises:
          UserError: the folder's faces cannot be used.
        """
        if self._finder is None:
            return folder.read_pairs(self._face_dir, name)
        levels = images.to_levels(rgb)
        used, others = self._finder.find(levels)
        return [(found.lq, found.hq) for found in self._finder.restore(levels, used, others, name)]
