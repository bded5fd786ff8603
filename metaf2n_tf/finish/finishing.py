"""From the network's x4 picture to the one that is written."""

from dataclasses import dataclass

import cv2
import numpy as np

from metaf2n_tf.data.images import Photo, to_levels
from metaf2n_tf.finish import outscale
from metaf2n_tf.networks.sr import SCALE


@dataclass(frozen=True)
class Finishing:
    """What is done to the x4 picture, in the order of the fields; by default nothing.

    outscale: the scale of the result, see `outscale.py`; the last step.
    """

    outscale: float = SCALE

    def __call__(self, levels: np.ndarray, photo: Photo) -> np.ndarray:
        """The picture to write.

        Args:
          levels: uint8 or uint16 (4H, 4W, 3) RGB.
          photo: the LQ photo that it was made of.
        """
        return outscale.resize(levels, self.outscale)

    def alpha(self, photo: Photo) -> np.ndarray | None:
        """The photo's alpha for that picture, levels of its dtype and size; None where it has none."""
        if photo.alpha is None:
            return None
        height, width = photo.size
        large = cv2.resize(photo.alpha, (SCALE * width, SCALE * height), interpolation=cv2.INTER_CUBIC)
        return outscale.resize(to_levels(large, photo.depth), self.outscale)
