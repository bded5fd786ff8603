"""What teacher and student are trained with (wcy-cs/KDFSRNet, `train_teacher.py` and `train_student.py`)."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

L1_WEIGHT = 1.0
FEATURE_WEIGHT = 10.0  # in the first epoch; it falls by a tenth of that an epoch
OUTPUT_WEIGHT = 0.1
LAST_EPOCH = 10  # with a teacher, counted from 0


class TermWeights(NamedTuple):
    """Of the distillation terms: between the features, and between the faces."""

    features: float | tf.Tensor
    output: float | tf.Tensor


class LossTerms(NamedTuple):
    """Scalars: `total` is minimised; l1 to the HQ faces, features and output to the teacher's, not weighted."""

    total: tf.Tensor
    l1: tf.Tensor
    features: tf.Tensor
    output: tf.Tensor


def distillation_weights(epoch: int) -> TermWeights | None:
    """The weights in an epoch, counted from 0; None from the eleventh epoch after the first on, without a teacher.

    In epoch 10 that of the features has come down to 0, the other is still there.
    """
    if epoch > LAST_EPOCH:
        return None
    return TermWeights(FEATURE_WEIGHT * (LAST_EPOCH - epoch) / LAST_EPOCH, OUTPUT_WEIGHT)


def l1(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference."""
    return tf.reduce_mean(tf.abs(first - second))


def alone(output: tf.Tensor, hq: tf.Tensor) -> LossTerms:
    """The loss without a teacher, the teacher's own among them."""
    distance, nothing = l1(output, hq), tf.zeros([])
    return LossTerms(L1_WEIGHT * distance, distance, nothing, nothing)


def distilled(
    student: tuple[Sequence[tf.Tensor], tf.Tensor],
    teacher: tuple[Sequence[tf.Tensor], tf.Tensor],
    hq: tf.Tensor,
    weights: TermWeights,
) -> LossTerms:
    """The student's loss with a teacher.

    Args:
      student, teacher: what `kdfsrnet.forward` gives: nine features, and faces (N, H, W, 3).
      hq: float32 (N, H, W, 3) in [0, 1].
      weights: of this epoch.
    """
    (features, output), (target_features, target) = student, teacher
    distance, soft = l1(output, hq), l1(output, target)
    feature = tf.add_n([l1(*pair) for pair in zip(features, target_features, strict=True)]) / len(features)
    total = L1_WEIGHT * distance + weights.features * feature + weights.output * soft
    return LossTerms(total, distance, feature, soft)
