"""The way from the network's x4 picture to the one that is written."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaf2n_tf.data.images import Photo
from metaf2n_tf.faces.restored import PlacedFace
from metaf2n_tf.finish.color_fix import FIXES
from metaf2n_tf.finish.paste import paste


@dataclass(frozen=True)
class Finishing:
    """What is done to the x4 picture, in the order of the fields; by default nothing.

    paste_strength: opacity of the restored faces; color_fix: whose row of `FIXES` gives it its colours.
    """

    paste_strength: float = 0.0
    color_fix: str = "none"

    def without_faces(self) -> "Finishing":
        """The same, no face pasted."""
        return dataclasses.replace(self, paste_strength=0.0)

    def __call__(self, levels: np.ndarray, photo: Photo, faces: Sequence[PlacedFace] = ()) -> np.ndarray:
        """The picture to write.

        Args:
          levels: uint8 or uint16 (4H, 4W, 3) RGB.
          photo: the LQ photo that it was made of.
          faces: the photo's.
        """
        levels = paste(levels, faces, self.paste_strength)
        return FIXES[self.color_fix](levels, photo.rgb)
