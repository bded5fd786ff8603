"""ASFFNet as a restorer of aligned faces: landmarks, the exemplar that suits best, its guidance, the network."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.errors import Message, UserError
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.exemplars.guidance import choose_optimal, point_mask
from metaf2n_tf.faces.exemplars.landmarks import Landmarker
from metaf2n_tf.faces.exemplars.persons import SIZE, Exemplar, ExemplarReader, Library
from metaf2n_tf.faces.exemplars.warp import mls_grid
from metaf2n_tf.faces.registry import find_weights
from metaf2n_tf.faces.restored import Source
from metaf2n_tf.faces.restorers.levels import NOT_FINITE
from metaf2n_tf.networks import asffnet
from metaf2n_tf.weights.face_networks import load_asffnet

logger = logging.getLogger(__name__)


class GuidedNetwork:
    """ASFFNet as a function of a face, its landmarks and exemplars, compiled once."""

    def __init__(self, weights: Path):
        """Read `ASFFNet512.pth`."""
        self._params = {name: tf.constant(value) for name, value in load_asffnet(weights).items()}
        picture = tf.TensorSpec((1, SIZE, SIZE, 3), tf.uint8)
        mask = tf.TensorSpec((1, SIZE, SIZE, 1), tf.float32)
        cells = SIZE // asffnet.FEATURE_STRIDE
        grid = tf.TensorSpec((1, cells, cells, 2), tf.float32)

        def restore(params, lq, ref, mask, grid):
            lq, ref = ((tf.cast(levels, tf.float32) / 255.0 - 0.5) / 0.5 for levels in (lq, ref))
            return tf.clip_by_value(asffnet.forward(params, lq, ref, mask, grid) * 0.5 + 0.5, 0.0, 1.0) * 255.0

        compiled = tf.function(restore, autograph=False)
        self._restore = compiled.get_concrete_function(self._params, picture, picture, mask, grid)

    def levels(self, square: np.ndarray, landmarks: np.ndarray, exemplars: Sequence[Exemplar]) -> np.ndarray:
        """Restore a face with the exemplar that suits it best.

        Args:
          square: uint8 (512, 512, 3) RGB, aligned.
          landmarks: (68, 2), in its pixels.
          exemplars: of the same person.

        Returns:
          float32 (512, 512, 3) in [0, 255], neither rounded nor checked.
        """
        best = exemplars[choose_optimal(landmarks, [exemplar.landmarks for exemplar in exemplars])]
        guides = best.rgb, point_mask(landmarks, SIZE), mls_grid(landmarks, best.landmarks, SIZE)
        return self._restore(self._params, *(tf.constant(part[None]) for part in (square, *guides))).numpy()[0]

    def __call__(self, square: np.ndarray, landmarks: np.ndarray, exemplars: Sequence[Exemplar]) -> np.ndarray:
        """The same in uint8, rounded, as published.

        Raises:
          UserError: the network's output is not finite.
        """
        levels = self.levels(square, landmarks, exemplars)
        if not np.isfinite(levels).all():
            raise UserError(NOT_FINITE)
        return np.rint(levels).astype(np.uint8)


class GuidedRestorer:
    """All that restoring with a folder of exemplars needs."""

    def __init__(self, weights: Path, library: Library, find_faces: Callable[[np.ndarray], list[Face]]):
        """Read the weights, and fetch the landmark detector's where they are not there.

        Args:
          weights: `ASFFNet512.pth`.
          library: the persons.
          find_faces: those of an exemplar, uint8 (H, W, 3).
        """
        self.network, self.landmarker = GuidedNetwork(weights), Landmarker(find_weights("face-mesh", fetched=True))
        self._library, self._read = library, ExemplarReader(find_faces, self.landmarker)

    def exemplars(self, person: str) -> Sequence[Exemplar]:
        """A person's, see `Library.exemplars`."""
        return self._library.exemplars(person, self._read)

    def __call__(self, squares: np.ndarray, photo: Source, indices: Sequence[int]) -> list[np.ndarray | None]:
        """Restore uint8 (N, 512, 512, 3) faces of a photo.

        Args:
          photo: where they are from.
          indices: of the faces.

        Returns:
          N of uint8 (512, 512, 3); None, after saying so, for a face of nobody whom the user named, of somebody without
          exemplars, or without landmarks.
        """
        return [self._restore_one(square, photo, index) for square, index in zip(squares, indices, strict=True)]

    def _restore_one(self, square: np.ndarray, photo: Source, index: int) -> np.ndarray | None:
        try:
            exemplars = self.exemplars(self._library.person_of(photo, index))
            landmarks = self.landmarker(square)
            if landmarks is None:
                raise UserError("no landmarks are found in it")
        except UserError as error:
            logger.warning(Message(f"{photo.name}: face {index} is left out: ", error))
            return None
        return self.network(square, landmarks, exemplars)
