"""GPEN (Yang et al., 2021), the published restorer; its `.pth` says how large its faces are."""

from pathlib import Path

import tensorflow as tf

from metaf2n_tf.faces.restorers import Needs
from metaf2n_tf.faces.restorers.aligned import Aligned
from metaf2n_tf.faces.restorers.levels import cut_off
from metaf2n_tf.networks import gpen
from metaf2n_tf.weights.face_networks import load_gpen


def restore(params: gpen.Params, levels: tf.Tensor) -> tf.Tensor:
    """Float32 levels (N, S, S, 3) to float32 levels, neither clipped nor rounded."""
    return (gpen.forward(params, (levels / 255.0 - 0.5) / 0.5) * 0.5 + 0.5) * 255.0


def load(weights: Path, _: Needs) -> Aligned:
    """Read the weights; levels are cut off, not rounded, as published.

    Raises:
      UserError: they cannot be used.
    """
    params = load_gpen(weights)
    size = gpen.resolution(params)
    return Aligned("gpen", weights, params, restore, size, photo_levels=cut_off, batch_levels=cut_off)
