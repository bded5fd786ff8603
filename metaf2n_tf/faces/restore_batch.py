"""Restorers of whole batches of aligned LQ faces, as functions of tensors: what meta-batches are made with."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.meta_batches import BatchRestorer
from metaf2n_tf.data.operations.resize import resize_to
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.choose import Choice, choose
from metaf2n_tf.networks import gpen, rrdbnet
from metaf2n_tf.weights.face_networks import load_gpen

_NOT_FINITE = "the face restorer's output is not finite: its weights cannot be used"

SrWeights = Callable[[], Mapping[str, np.ndarray]]


def enlarge(lq: tf.Tensor) -> tf.Tensor:
    """x4 by PyTorch's bicubic: levels (N, s, s, 3) to float32 levels (N, 4s, 4s, 3), neither clipped nor rounded."""
    planes = tf.transpose(tf.cast(lq, tf.float32), [0, 3, 1, 2])
    size = (rrdbnet.SCALE * planes.shape[2], rrdbnet.SCALE * planes.shape[3])
    return tf.transpose(resize_to(planes, size, "bicubic"), [0, 2, 3, 1])


def _to_levels(levels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(levels), 0.0, 255.0), tf.uint8)


def restore_with_gpen(params: gpen.Params) -> BatchRestorer:
    """GPEN (Yang et al., 2021), the published restorer; its output is cut off to levels, not rounded, as published."""

    def restore(lq: tf.Tensor) -> tf.Tensor:
        images = (enlarge(lq) / 255.0 - 0.5) / 0.5
        restored = tf.debugging.check_numerics(gpen.forward(params, images), _NOT_FINITE) * 0.5 + 0.5
        return tf.cast(tf.clip_by_value(restored, 0.0, 1.0) * 255.0, tf.uint8)

    return restore


def _gpen(weights: Path, side: int, _: SrWeights) -> BatchRestorer:
    params = {name: tf.constant(value) for name, value in load_gpen(weights).items()}
    if gpen.resolution(params) != side:
        raise UserError(f"{weights}: restores faces of {gpen.resolution(params)} pixels, and these have {side}")
    return restore_with_gpen(params)


def _self_ensemble(side: int, sr: SrWeights) -> BatchRestorer:
    """The mean of the SR network's outputs over the 8 flips and rotations."""
    params = {name: tf.constant(value) for name, value in sr().items()}

    def restore(lq: tf.Tensor) -> tf.Tensor:
        images, total = tf.cast(lq, tf.float32) / 255.0, 0.0
        for turns in range(4):
            for flip in (False, True):
                view = tf.image.rot90(images, turns)
                out = rrdbnet.forward(params, view[:, :, ::-1] if flip else view)
                total += tf.image.rot90(out[:, :, ::-1] if flip else out, -turns % 4)
        return _to_levels(total / 8 * 255.0)

    return restore


def _none(side: int, _: SrWeights) -> BatchRestorer:
    """The LQ face enlarged, as it would reach GPEN."""
    return lambda lq: _to_levels(enlarge(lq))


def _ground_truth(side: int, _: SrWeights) -> BatchRestorer:
    """The faces as they were: the upper bound for any restorer."""
    return None


RESTORERS = {
    "gpen_256": Choice(_gpen, "gpen-bfr-256"),
    "self_ensemble": Choice(_self_ensemble),
    "none": Choice(_none),
    "ground_truth": Choice(_ground_truth),
}


def make_restorer(name: str, side: int, sr: SrWeights) -> BatchRestorer:
    """The restorer of that name; none ever takes another one's place.

    Args:
      name: one of `RESTORERS`.
      side: of the HQ faces, pixels.
      sr: gives the SR network's weights, `{name: array}`, to a restorer that needs them.

    Raises:
      UserError: no such restorer, or its weights are not there or for another size.
    """
    name, weights, _ = choose("restorer", name, RESTORERS, ())
    arguments = (side, sr) if weights is None else (weights, side, sr)
    return RESTORERS[name].build(*arguments)
