"""SR networks as restorers: they take faces as they lie in the photo, so that nothing is resampled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.data.meta_batches import BatchRestorer
from metaf2n_tf.faces.crop import face_slices
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restored import PhotoRestorer, RestoredFace, Source
from metaf2n_tf.faces.restorers.levels import checked, rounded
from metaf2n_tf.networks import sr
from metaf2n_tf.tiles import SuperResolver, times_scale

_CONTEXT = 16  # least LQ pixels around a face that its super-resolution sees

# Float32 (N, h, w, 3) in [0, 1] to (N, 4h, 4w, 3).
Enlarge = Callable[[tf.Tensor], tf.Tensor]


def once(enlarge: Enlarge, images: tf.Tensor) -> tf.Tensor:
    """The network's output as it is."""
    return enlarge(images)


def _widen(part: slice, length: int, context: int) -> tuple[slice, slice]:
    """A slice with context, and the original slice relative to it."""
    wide = slice(max(part.start - context, 0), min(part.stop + context, length))
    return wide, slice(part.start - wide.start, part.stop - wide.start)


@dataclass(frozen=True)
class InPlace:
    """An SR network as a restorer, for photos and for meta-batches.

    params: the network's, `{name: array or tensor}`; restore: (the network as a function, float32 images (N, h, w, 3)
    in [0, 1]) to images (N, 4h, 4w, 3), not clipped; context: how much of a face's longer side it is shown on each
    side of it, beside the least there is.
    """

    params: Mapping[str, np.ndarray]
    restore: Callable[[Enlarge, tf.Tensor], tf.Tensor] = once
    context: float = 0.0

    def _on_device(self) -> dict[str, tf.Tensor]:
        return {name: tf.convert_to_tensor(value) for name, value in self.params.items()}  # tensors stay what they are

    def for_photos(self, published_crops: bool) -> PhotoRestorer:
        """See `restorers.Loaded`."""
        resolver, params = SuperResolver(), self._on_device()

        def enlarge(images: tf.Tensor) -> tf.Tensor:
            return tf.constant(resolver(params, np.asarray(images)[0])[None])

        def restore(rgb: np.ndarray, faces: list[Face], _: Source) -> list[RestoredFace]:
            found = []
            for face in faces:
                rows, cols = face_slices(face, rgb.shape[:2])
                around = max(_CONTEXT, round(self.context * max(rows.stop - rows.start, cols.stop - cols.start)))
                wide_rows, inner_rows = _widen(rows, rgb.shape[0], around)
                wide_cols, inner_cols = _widen(cols, rgb.shape[1], around)
                images = tf.constant(rgb[None, wide_rows, wide_cols].astype(np.float32) / np.float32(255))
                hq = to_levels(np.asarray(self.restore(enlarge, images))[0])
                hq = hq[times_scale(inner_rows), times_scale(inner_cols)]
                found.append(RestoredFace(face, rgb[rows, cols], hq))
            return found

        return restore

    def for_batches(self, side: int) -> BatchRestorer:
        """See `restorers.Loaded`."""
        params = self._on_device()

        def restore(lq: tf.Tensor) -> tf.Tensor:
            images = tf.cast(lq, tf.float32) / 255.0
            return checked(self.restore(lambda images: sr.forward(params, images), images) * 255.0, rounded)

        return restore
