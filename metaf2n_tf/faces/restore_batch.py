"""Restorers of whole batches of aligned LQ faces, as functions of tensors: what meta-batches are made with."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from metaf2n_tf.data.meta_batches import BatchRestorer
from metaf2n_tf.data.operations.resize import resize_to
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.choose import Choice, choose
from metaf2n_tf.faces.detect import DETECTORS, detect_faces
from metaf2n_tf.faces.exemplars.guided import NOT_FINITE, GuidedRestorer
from metaf2n_tf.faces.exemplars.persons import SIZE, Exemplar, Library
from metaf2n_tf.networks import gpen, kdfsrnet, sr
from metaf2n_tf.weights.face_networks import load_gpen, load_kdfsrnet
from metaf2n_tf.weights.load import load_weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs:
    """What a restorer may need. sr: gives the SR network's weights; exemplar_dir: HQ photos of one person."""

    sr: Callable[[], Mapping[str, np.ndarray]] | None = None
    exemplar_dir: Path | None = None


def enlarge(lq: tf.Tensor) -> tf.Tensor:
    """x4 by PyTorch's bicubic: levels (N, s, s, 3) to float32 levels (N, 4s, 4s, 3), neither clipped nor rounded."""
    planes = tf.transpose(tf.cast(lq, tf.float32), [0, 3, 1, 2])
    size = (sr.SCALE * planes.shape[2], sr.SCALE * planes.shape[3])
    return tf.transpose(resize_to(planes, size, "bicubic"), [0, 2, 3, 1])


def _to_levels(levels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(levels), 0.0, 255.0), tf.uint8)


def restore_with_gpen(params: gpen.Params) -> BatchRestorer:
    """GPEN (Yang et al., 2021), the published restorer; its output is cut off to levels, not rounded, as published."""

    def restore(lq: tf.Tensor) -> tf.Tensor:
        images = (enlarge(lq) / 255.0 - 0.5) / 0.5
        restored = tf.debugging.check_numerics(gpen.forward(params, images), NOT_FINITE) * 0.5 + 0.5
        return tf.cast(tf.clip_by_value(restored, 0.0, 1.0) * 255.0, tf.uint8)

    return restore


def restore_with_kdfsrnet(params: kdfsrnet.Params) -> BatchRestorer:
    """KDFSRNet's student (Wang et al., 2022), which takes the enlarged face in levels."""

    def restore(lq: tf.Tensor) -> tf.Tensor:
        _, restored = kdfsrnet.forward(params, tf.cast(_to_levels(enlarge(lq)), tf.float32) / 255.0)
        return _to_levels(tf.debugging.check_numerics(restored, NOT_FINITE) * 255.0)

    return restore


def restore_with_exemplars(guided: GuidedRestorer, exemplars: Sequence[Exemplar]) -> BatchRestorer:
    """ASFFNet (Li et al., 2020) at 512 pixels, with exemplars of the one person whose faces the records hold.

    Records are faces for certain, so the landmarks are taken however unsure the mesh is of them.
    """

    def restore_levels(lq: np.ndarray) -> np.ndarray:
        squares = [cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for square in lq]
        landmarks = [guided.landmarker.find(square)[0] for square in squares]
        return np.stack([guided.network.levels(*face, exemplars) for face in zip(squares, landmarks, strict=True)])

    def restore(lq: tf.Tensor) -> tf.Tensor:
        side = sr.SCALE * lq.shape[1]
        levels = tf.numpy_function(restore_levels, [lq], tf.float32, stateful=False)
        levels = tf.debugging.check_numerics(tf.ensure_shape(levels, [lq.shape[0], SIZE, SIZE, 3]), NOT_FINITE)
        return _to_levels(tf.image.resize(levels, [side, side], "area"))

    return restore


def _gpen(weights: Path, side: int, _: Needs) -> BatchRestorer:
    params = {name: tf.constant(value) for name, value in load_gpen(weights).items()}
    if gpen.resolution(params) != side:
        raise UserError(f"{weights}: restores faces of {gpen.resolution(params)} pixels, and these have {side}")
    return restore_with_gpen(params)


def _kdfsrnet(weights: Path, side: int, _: Needs) -> BatchRestorer:
    if side % kdfsrnet.UNIT:
        raise UserError(f"--restorer kdfsrnet: the faces' side, {side} pixels, is no multiple of {kdfsrnet.UNIT}")
    return restore_with_kdfsrnet({name: tf.constant(value) for name, value in load_kdfsrnet(weights).items()})


def _asffnet(weights: Path, side: int, needs: Needs) -> BatchRestorer:
    if needs.exemplar_dir is None:
        raise UserError("--restorer asffnet: needs HQ photos of the person. Remedy: --exemplar_dir")
    library = Library(needs.exemplar_dir)
    if len(library.persons) > 1:
        raise UserError(
            f"--exemplar_dir {needs.exemplar_dir}: holds {len(library.persons)} persons, and TFRecords do not say "
            "whose faces they hold. Remedy: a set of one person's faces, with that person's photos"
        )
    guided = GuidedRestorer(weights, library, functools.partial(detect_faces, DETECTORS["mtcnn"].build()))
    exemplars = guided.exemplars(library.persons[0])
    logger.info(f"{len(exemplars)} exemplars; faces are found in them by mtcnn where they have no landmarks")
    return restore_with_exemplars(guided, exemplars)


def _self_ensemble(side: int, needs: Needs) -> BatchRestorer:
    """The mean of the SR network's outputs over the 8 flips and rotations."""
    params = {name: tf.constant(value) for name, value in needs.sr().items()}

    def restore(lq: tf.Tensor) -> tf.Tensor:
        images, total = tf.cast(lq, tf.float32) / 255.0, 0.0
        for turns in range(4):
            for flip in (False, True):
                view = tf.image.rot90(images, turns)
                out = sr.forward(params, view[:, :, ::-1] if flip else view)
                total += tf.image.rot90(out[:, :, ::-1] if flip else out, -turns % 4)
        return _to_levels(total / 8 * 255.0)

    return restore


def _faces_lite(weights: Path, side: int, _: Needs) -> BatchRestorer:
    """Our own: an SR network trained on faces."""
    params = {name: tf.constant(value) for name, value in load_weights(weights).sr.items()}
    return lambda lq: _to_levels(sr.forward(params, tf.cast(lq, tf.float32) / 255.0) * 255.0)


def _none(side: int, _: Needs) -> BatchRestorer:
    """The LQ face enlarged, as it would reach GPEN."""
    return lambda lq: _to_levels(enlarge(lq))


def _ground_truth(side: int, _: Needs) -> BatchRestorer:
    """The faces as they were: the upper bound for any restorer."""
    return None


RESTORERS = {
    "gpen_256": Choice(_gpen, "gpen-bfr-256"),
    "asffnet": Choice(_asffnet, "asffnet"),
    "kdfsrnet": Choice(_kdfsrnet, "kdfsrnet"),
    "faces_lite": Choice(_faces_lite, "faces-lite"),
    "self_ensemble": Choice(_self_ensemble),
    "none": Choice(_none),
    "ground_truth": Choice(_ground_truth),
}


def make_restorer(name: str, side: int, needs: Needs) -> BatchRestorer:
    """The restorer of that name; none ever takes another one's place.

    Args:
      name: one of `RESTORERS`, with `:WEIGHTS` for a file of one's own.
      side: of the HQ faces, pixels.
      needs: what it may need.

    Raises:
      UserError: no such restorer, its weights are not there or for another size, or exemplars it cannot use.
    """
    key, weights, _ = choose("restorer", name, RESTORERS, ())
    if needs.exemplar_dir and key != "asffnet":
        raise UserError(f"--exemplar_dir: {key} takes no exemplars. Remedy: --restorer asffnet")
    arguments = (side, needs) if weights is None else (weights, side, needs)
    return RESTORERS[key].build(*arguments)
