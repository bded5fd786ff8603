"""The discriminator's weights from the file that Real-ESRGAN's authors share, `RealESRGAN_x4plus_netD.pth`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import discriminator
from metaf2n_tf.weights import catalogue, pth
from metaf2n_tf.weights.check import check_variables


def discriminator_shapes(source: str, found: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes that a discriminator of this file's width must have."""
    bias = f"{discriminator.SCOPE}/conv0/bias"
    if bias not in found:
        raise UserError(f"{source}: variable {bias} is missing, so this is not Real-ESRGAN's discriminator")
    return discriminator.variable_shapes(found[bias].size)


def load_discriminator(path: str | Path) -> dict[str, np.ndarray]:
    """The discriminator's params, float32, under their names in published checkpoints, with the vectors `u`.

    Args:
      path: a `.pth` file with PyTorch's spectral normalization (`weight_orig`, `weight_u`; `weight_v` is not used), or
        its name in the catalogue.

    Raises:
      UserError: nothing there, a damaged file, or not this network's variables.
    """
    path, found = catalogue.find(path), {}
    for name, value in pth.read_state_dict(path).items():
        name = name.replace(".weight_orig", "/weight").replace(".weight_u", "/u").replace(".", "/")
        found[f"{discriminator.SCOPE}/{name}"] = value[None] if name.endswith("/u") else value
    return check_variables(str(path), found, discriminator_shapes(str(path), found))
