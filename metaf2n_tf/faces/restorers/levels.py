"""How float levels become levels, which differs from restorer to restorer, and LQ faces become inputs of networks."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.operations.resize import resize_to
from metaf2n_tf.networks.sr import SCALE

NOT_FINITE = "the face restorer's output is not finite: its weights cannot be used"

# Float levels of any shape, to some in [0, 255] whose fractions are yet to be dropped.
ToLevels = Callable[[tf.Tensor], tf.Tensor]


def cut_off(levels: tf.Tensor) -> tf.Tensor:
    """Clipped only, so that fractions are dropped: GPEN's way."""
    return tf.clip_by_value(levels, 0.0, 255.0)


def half_up(levels: tf.Tensor) -> tf.Tensor:
    """Rounded as torchvision's `save_image` does."""
    return tf.clip_by_value(levels + 0.5, 0.0, 255.0)


def rounded(levels: tf.Tensor) -> tf.Tensor:
    """Rounded to the nearest, halves to even."""
    return tf.clip_by_value(tf.round(levels), 0.0, 255.0)


def hq_size(lq: tf.Tensor) -> tuple[int, int]:
    """(height, width) of the HQ faces of LQ ones (N, h, w, 3), whose size must be known."""
    height, width = (SCALE * np.array(lq.shape[1:3], int)).tolist()
    return height, width


def enlarge(lq: tf.Tensor) -> tf.Tensor:
    """x4 by PyTorch's bicubic: levels (N, s, s, 3) to float32 levels (N, 4s, 4s, 3), neither clipped nor rounded."""
    planes = tf.transpose(tf.cast(lq, tf.float32), [0, 3, 1, 2])
    return tf.transpose(resize_to(planes, hq_size(lq), "bicubic"), [0, 2, 3, 1])


def checked(levels: tf.Tensor, to_levels: ToLevels) -> tf.Tensor:
    """uint8 of the float levels of a batch, in a graph; an InvalidArgumentError where some are not finite."""
    return tf.cast(to_levels(tf.debugging.check_numerics(levels, NOT_FINITE)), tf.uint8)
