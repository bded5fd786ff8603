"""Networks that take aligned faces, and give them at the same size."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.meta_batches import BatchRestorer
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import align
from metaf2n_tf.faces.crop import cut_published, face_slices
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restored import PhotoRestorer, RestoredFace, Source
from metaf2n_tf.faces.restorers.levels import NOT_FINITE, ToLevels, checked, enlarge, rounded

logger = logging.getLogger(__name__)

_GPU_BATCH = 4  # aligned faces at a time; on a CPU several at once are no faster, and take 0.7 GB more each


def restore_aligned(
    network: Callable[[np.ndarray], Iterable[np.ndarray | None]], size: int, published_crops: bool
) -> PhotoRestorer:
    """A restorer of photos' faces out of a network that takes aligned faces.

    Args:
      network: uint8 (N, S, S, 3) to N of (S, S, 3); None for a face that it leaves out.
      size: S.
      published_crops: cut HQ faces as the published script does, 1.5 HQ pixels off their LQ faces.
    """

    def restore(rgb: np.ndarray, faces: list[Face], photo: Source) -> list[RestoredFace]:
        if not faces:
            return []
        transforms = [align.fit_face(face.landmarks, size) for face in faces]
        rim = 0 if published_crops else 1
        squares = align.warp_to_squares(rgb, [forward for forward, _ in transforms], size, rim)
        found = []
        for face, (_, inverse), square, given in zip(faces, transforms, squares, network(squares), strict=True):
            if given is None:
                continue
            if published_crops:
                canvas = align.published_canvas_x4(given, inverse, rgb.shape[:2])
                lq, hq = cut_published(rgb, canvas, face)
            else:
                rows, cols = face_slices(face, rgb.shape[:2])
                lq = rgb[rows, cols]
                hq = align.paste_x4(given, inverse, lq, (rows.start, cols.start))
            found.append(RestoredFace(face, lq, hq, (square, given)))
        return found

    return restore


@dataclass(frozen=True)
class Aligned:
    """A network of aligned faces, for photos and for meta-batches.

    name: for messages; weights: the file of its params, for messages; params: `{name: array}`; restore: (params,
    float32 levels (N, S, S, 3)) to float32 levels of that shape, neither clipped nor rounded, tensors; size: S of the
    faces of photos; unit: of what S may be a multiple in meta-batches, None where it is `size`; photo_levels,
    batch_levels: how the output becomes levels; batch_input: how the enlarged LQ faces of a meta-batch do before they
    are its input, None where they stay as they are.
    """

    name: str
    weights: Path | None
    params: Mapping[str, np.ndarray]
    restore: Callable[[Mapping[str, tf.Tensor], tf.Tensor], tf.Tensor]
    size: int
    unit: int | None = None
    photo_levels: ToLevels = rounded
    batch_levels: ToLevels = rounded
    batch_input: ToLevels | None = None

    def _on_device(self) -> dict[str, tf.Tensor]:
        return {name: tf.constant(value) for name, value in self.params.items()}

    def compiled(self) -> Callable[[np.ndarray], np.ndarray]:
        """Uint8 (N, S, S, 3) RGB to the same, restored, a few at a time.

        It raises a UserError where the network's output is not finite.
        """

        def forward(params, squares):
            levels = self.restore(params, tf.cast(squares, tf.float32))
            return tf.cast(self.photo_levels(levels), tf.uint8), tf.reduce_all(tf.math.is_finite(levels))

        params, count = self._on_device(), _GPU_BATCH if tf.config.list_logical_devices("GPU") else 1
        squares = tf.TensorSpec((None, self.size, self.size, 3), tf.uint8)
        function = tf.function(forward, autograph=False).get_concrete_function(params, squares)

        def restore(squares: np.ndarray) -> np.ndarray:
            restored = np.empty_like(squares)
            for first in range(0, len(squares), count):
                batch = slice(first, first + count)
                restored[batch], finite = function(params, tf.constant(squares[batch]))
                if not finite:
                    raise UserError(NOT_FINITE)
            return restored

        return restore

    def for_photos(self, published_crops: bool) -> PhotoRestorer:
        """See `restorers.Loaded`."""
        restore = restore_aligned(self.compiled(), self.size, published_crops)
        logger.info(f"{self.name}: takes faces of {self.size} pixels")
        return restore

    def for_batches(self, side: int) -> BatchRestorer:
        """See `restorers.Loaded`."""
        subject = self.weights or self.name
        if self.unit is None and side != self.size:
            raise UserError(f"{subject}: restores faces of {self.size} pixels, and these have {side}")
        if self.unit is not None and side % self.unit:
            raise UserError(f"{subject}: the faces' side, {side} pixels, is no multiple of {self.unit}")
        params = self._on_device()

        def restore(lq: tf.Tensor) -> tf.Tensor:
            levels = enlarge(lq)
            levels = levels if self.batch_input is None else self.batch_input(levels)
            return checked(self.restore(params, levels), self.batch_levels)

        return restore
