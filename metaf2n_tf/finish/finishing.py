"""The way from the network's x4 picture to the one that is written."""

from dataclasses import dataclass

import numpy as np

from metaf2n_tf.data.images import Photo


@dataclass(frozen=True)
class Finishing:
    """What is done to the x4 picture, in the order of the fields; by default nothing."""

    def __call__(self, levels: np.ndarray, photo: Photo) -> np.ndarray:
        """The picture to write.

        Args:
          levels: uint8 or uint16 (4H, 4W, 3) RGB.
          photo: the LQ photo that it was made of.
        """
        return levels
