"""The mean of the SR network's outputs over the 8 flips and rotations: no face restorer, only its own best guess."""

from pathlib import Path

import tensorflow as tf

from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces.restorers import Needs
from metaf2n_tf.faces.restorers.in_place import Enlarge, InPlace


def restore(enlarge: Enlarge, images: tf.Tensor) -> tf.Tensor:
    """Float32 (N, h, w, 3) in [0, 1] to (N, 4h, 4w, 3), not clipped."""
    total = tf.zeros([])
    for turns in range(4):
        for flip in (False, True):
            view = tf.image.rot90(images, turns)
            out = enlarge(view[:, :, ::-1] if flip else view)
            total += tf.image.rot90(out[:, :, ::-1] if flip else out, -turns % 4)
    return total / 8


def load(_: Path | None, needs: Needs) -> InPlace:
    """Take the SR network.

    Raises:
      UserError: there is none, or its weights cannot be used.
    """
    if needs.sr is None:
        raise UserError(Argument("restorer", "self_ensemble"), ": needs the SR network. Remedy: ", Argument("sr"))
    return InPlace(needs.sr(), restore)
