"""KDFSRNet's student (Wang et al., 2022), which takes the enlarged face in levels."""

from pathlib import Path

import tensorflow as tf

from metaf2n_tf.faces.restorers import Needs
from metaf2n_tf.faces.restorers.aligned import Aligned
from metaf2n_tf.faces.restorers.levels import half_up, rounded
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.weights.face_networks import load_kdfsrnet

_SIZE = 256  # of the faces of MetaF2N's training; the network itself takes any


def restore(params: kdfsrnet.Params, levels: tf.Tensor) -> tf.Tensor:
    """Float32 levels (N, S, S, 3) to float32 levels, neither clipped nor rounded."""
    _, restored = kdfsrnet.forward(params, levels / 255.0)
    return restored * 255.0


def load(weights: Path, _: Needs) -> Aligned:
    """Read the weights; levels of photos' faces are rounded as torchvision's `save_image` does.

    Raises:
      UserError: they cannot be used.
    """
    params = load_kdfsrnet(weights)
    return Aligned(
        "kdfsrnet", weights, params, restore, _SIZE, kdfsrnet.UNIT, photo_levels=half_up, batch_input=rounded
    )
