"""ASFFNet as a restorer of aligned faces: landmarks, the exemplar that suits best, its guidance, the network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.cli import say
from metaf2n_tf.errors import UserError
from metaf2n_tf.exemplars.guidance import choose_optimal, point_mask
from metaf2n_tf.exemplars.landmarks import Landmarker
from metaf2n_tf.exemplars.library import SIZE, Exemplar, Library
from metaf2n_tf.exemplars.warp import mls_grid
from metaf2n_tf.networks import asffnet
from metaf2n_tf.weights.face_networks import load_asffnet


def choose_exemplar(landmarks: np.ndarray, exemplars: Sequence[Exemplar]) -> Exemplar:
    """The exemplar that suits a face with these (68, 2) landmarks best."""
    return exemplars[choose_optimal(landmarks, [exemplar.landmarks for exemplar in exemplars])]


class GuidedNetwork:
    """ASFFNet as a function of a face, its landmarks and an exemplar, compiled once."""

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

    def __call__(self, square: np.ndarray, landmarks: np.ndarray, exemplar: Exemplar) -> np.ndarray:
        """Restore a face.

        Args:
          square: uint8 (512, 512, 3) RGB, aligned.
          landmarks: (68, 2), in its pixels.
          exemplar: of the same person.

        Returns:
          uint8 (512, 512, 3), rounded, as published.

        Raises:
          UserError: the network's output is not finite.
        """
        guides = exemplar.rgb, point_mask(landmarks, SIZE), mls_grid(landmarks, exemplar.landmarks, SIZE)
        levels = self._restore(self._params, *(tf.constant(part[None]) for part in (square, *guides))).numpy()[0]
        if not np.isfinite(levels).all():
            raise UserError("asffnet's output is not finite: its weights cannot be used")
        return np.uint8(np.rint(levels))


class GuidedRestorer:
    """ASFFNet with a library of exemplars, as a function of the aligned faces of a photo."""

    def __init__(self, weights: Path, landmarker: Landmarker, library: Library):
        self._network, self._landmarker, self._library = GuidedNetwork(weights), landmarker, library

    def __call__(self, squares: np.ndarray, photo: Path, indices: Sequence[int]) -> list[np.ndarray | None]:
        """Restore uint8 (N, 512, 512, 3) faces of a photo.

        Args:
          photo: its name, relative to the folder of photos.
          indices: of the faces.

        Returns:
          N of uint8 (512, 512, 3); None, after saying so, for a face of nobody whom the user named, or without
          landmarks.
        """
        restored, nobodys, blank = [], [], []
        for square, index in zip(squares, indices, strict=True):
            person = self._library.person_of(photo, index, alone=len(indices) == 1)
            landmarks = None if person is None else self._landmarker(square)
            if landmarks is None:
                (nobodys if person is None else blank).append(index)
                restored.append(None)
            else:
                exemplar = choose_exemplar(landmarks, self._library.exemplars(person))
                restored.append(self._network(square, landmarks, exemplar))
        for left_out, why in (
            (nobodys, "nothing says whose. Remedy: --exemplar_map"),
            (blank, "no landmarks are found there"),
        ):
            if left_out:
                say(f"{photo}: left out face {', '.join(map(str, left_out))}: {why}")
        return restored
