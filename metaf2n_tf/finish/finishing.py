"""From the network's x4 picture to the one that is written."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from metaf2n_tf.data.images import Photo, to_levels
from metaf2n_tf.faces.restored import PlacedFace
from metaf2n_tf.finish import outscale
from metaf2n_tf.finish.color_fix import FIXES
from metaf2n_tf.finish.paste import paste
from metaf2n_tf.networks.sr import SCALE


@dataclass(frozen=True)
class Finishing:
    """What is done to the x4 picture, in the order of the fields; by default nothing.

    paste_strength: opacity of the restored faces; color_fix: which row of `FIXES` gives it its colours; outscale: the
    scale of the result.
    """

    paste_strength: float = 0.0
    color_fix: str = "none"
    outscale: float = SCALE

    @property
    def pastes(self) -> bool:
        """Whether restored faces get into the picture."""
        return self.paste_strength > 0

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
        levels = FIXES[self.color_fix](levels, photo.rgb)
        return outscale.resize(levels, self.outscale)

    def alpha(self, photo: Photo) -> np.ndarray | None:
        """The photo's alpha for that picture, levels of its dtype and size; None where it has none."""
        if photo.alpha is None:
            return None
        height, width = photo.size
        large = cv2.resize(photo.alpha, (SCALE * width, SCALE * height), interpolation=cv2.INTER_CUBIC)
        return outscale.resize(to_levels(large, photo.depth), self.outscale)
