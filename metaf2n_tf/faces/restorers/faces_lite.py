"""Our own: an SR network trained on faces."""

from pathlib import Path

from metaf2n_tf.faces.restorers import Needs
from metaf2n_tf.faces.restorers.in_place import InPlace
from metaf2n_tf.weights.load import load_weights

_CONTEXT = 0.4  # of a face's longer side: what it saw around the faces that it was trained on


def load(weights: Path, _: Needs) -> InPlace:
    """Read the weights, those of any SR network.

    Raises:
      UserError: they cannot be used.
    """
    return InPlace(load_weights(weights).sr, context=_CONTEXT)
