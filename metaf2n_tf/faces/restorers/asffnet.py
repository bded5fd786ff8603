"""ASFFNet (Li et al., 2020), which needs HQ photos of the same person."""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from metaf2n_tf.data.meta_batches import BatchRestorer
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces.detect import DETECTORS, Face, detect_faces
from metaf2n_tf.faces.exemplars.guided import GuidedRestorer
from metaf2n_tf.faces.exemplars.persons import SIZE, Exemplar, Library
from metaf2n_tf.faces.restored import PhotoRestorer, RestoredFace, Source
from metaf2n_tf.faces.restorers import Needs
from metaf2n_tf.faces.restorers.aligned import restore_aligned
from metaf2n_tf.faces.restorers.levels import checked, hq_size, rounded

logger = logging.getLogger(__name__)


def _mtcnn() -> Callable[[np.ndarray], list[Face]]:
    return functools.partial(detect_faces, DETECTORS["mtcnn"].build())


def restore_batch(guided: GuidedRestorer, exemplars: Sequence[Exemplar]) -> BatchRestorer:
    """ASFFNet at 512 pixels, with exemplars of the one person whose faces the records hold.

    Records are faces for certain, so the landmarks are taken however unsure the mesh is of them.
    """

    def restore_levels(lq: np.ndarray) -> np.ndarray:
        squares = [cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for square in lq]
        landmarks = [guided.landmarker.find(square)[0] for square in squares]
        return np.stack([guided.network.levels(*face, exemplars) for face in zip(squares, landmarks, strict=True)])

    def restore(lq: tf.Tensor) -> tf.Tensor:
        levels = tf.numpy_function(restore_levels, [lq], tf.float32, stateful=False)
        levels = tf.ensure_shape(levels, [lq.shape[0], SIZE, SIZE, 3])
        return checked(tf.image.resize(levels, hq_size(lq), "area"), rounded)

    return restore


@dataclass(frozen=True)
class Guided:
    """See `restorers.Loaded`: the network is read where it is known whose exemplars guide it."""

    weights: Path
    exemplar_dir: Path
    exemplar_map: Path | None
    find_faces: Callable[[np.ndarray], list[Face]] | None

    def for_photos(self, published_crops: bool) -> PhotoRestorer:
        """See `restorers.Loaded`."""
        library = Library(self.exemplar_dir, self.exemplar_map)
        logger.info(f"exemplars: of {', '.join(library.persons)}")
        guided = GuidedRestorer(self.weights, library, self.find_faces or _mtcnn())

        def restore(rgb: np.ndarray, faces: list[Face], photo: Source) -> list[RestoredFace]:
            network = functools.partial(guided, photo=photo, indices=[face.index for face in faces])
            return restore_aligned(network, SIZE, published_crops)(rgb, faces, photo)

        return restore

    def for_batches(self, side: int) -> BatchRestorer:
        """See `restorers.Loaded`."""
        library = Library(self.exemplar_dir)
        if len(library.persons) > 1:
            raise UserError(
                Argument("exemplar_dir", self.exemplar_dir),
                f": holds {len(library.persons)} persons, and TFRecords do not say whose faces they hold. Remedy: a "
                "set of one person's faces, with that person's photos",
            )
        guided = GuidedRestorer(self.weights, library, _mtcnn())
        exemplars = guided.exemplars(library.persons[0])
        logger.info(f"{len(exemplars)} exemplars; faces are found in them by mtcnn where they have no landmarks")
        return restore_batch(guided, exemplars)


def load(weights: Path, needs: Needs) -> Guided:
    """Nothing is read yet.

    Raises:
      UserError: there are no HQ photos.
    """
    if needs.exemplar_dir is None:
        remedy = Argument("exemplar_dir")
        raise UserError(Argument("restorer", "asffnet"), ": needs HQ photos of the persons. Remedy: ", remedy)
    return Guided(weights, needs.exemplar_dir, needs.exemplar_map, needs.find_faces)
