"""DISTS on VGG16: how different two pictures look, where other grains of the same texture count little.

Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity" (2020), as the package dists-pytorch
0.1 has it. No training here uses it, so it judges without having been a loss.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks import vgg16
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.check import check_downloaded, check_variables
from metaf2n_tf.weights.pth import read_state_dict

WEIGHTS = "weights/dists.npz"
_CHANNEL_WEIGHTS = "dists-weights.pt"
_WIDTHS = (3, *vgg16.WIDTHS)  # the picture itself is the first stage
_CHANNEL_SHAPES = {name: (1, 1, sum(_WIDTHS), 1) for name in ("alpha", "beta")}
_C1 = _C2 = 1e-6

Params = Mapping[str, tf.Tensor]


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{name: shape}` of VGG16 and of the channels' weights `alpha` and `beta`, (1, 1, 1475, 1) each."""
    return vgg16.variable_shapes() | _CHANNEL_SHAPES


def load_dists(path: str | Path) -> dict[str, np.ndarray]:
    """Read the params of `distance`, float32.

    Args:
      path: the `.npz` that `scripts/download_weights.py dists` makes. `dists-weights.pt`, which the same script's
        `dists-weights` fetches, is read from the same folder.

    Raises:
      UserError: nothing there, a damaged file, or other variables.
    """
    path = check_downloaded(path, "dists")
    channel_weights = check_downloaded(path.with_name(_CHANNEL_WEIGHTS), "dists-weights")
    kernels = check_variables(str(path), npz.read_npz(path), vgg16.variable_shapes())
    return kernels | check_variables(str(channel_weights), read_state_dict(channel_weights), _CHANNEL_SHAPES)


def stages(params: Params, images: tf.Tensor) -> list[tf.Tensor]:
    """What is compared: the pictures themselves and VGG16's five stages of them."""
    images = tf.cast(images, tf.convert_to_tensor(params["alpha"]).dtype)
    return [images, *vgg16.forward(params, images)]


def stage_distances(params: Params, stages0: list[tf.Tensor], stages1: list[tf.Tensor]) -> list[tf.Tensor]:
    """The six addends of `distance`, each (N,), of the `stages` of both."""
    total = tf.reduce_sum(params["alpha"]) + tf.reduce_sum(params["beta"])
    alphas, betas = (tf.split(tf.reshape(params[name], [-1]) / total, _WIDTHS) for name in ("alpha", "beta"))
    addends = []
    for alpha, beta, x, y in zip(alphas, betas, stages0, stages1, strict=True):
        x_mean, y_mean = (tf.reduce_mean(z, axis=[1, 2], keepdims=True) for z in (x, y))
        x, y = x - x_mean, y - y_mean
        x_mean, y_mean = x_mean[:, 0, 0], y_mean[:, 0, 0]
        x_variance, y_variance = (tf.reduce_mean(z * z, axis=[1, 2]) for z in (x, y))
        # 1 - S1 and 1 - S2, which published are 1 - (2 x_mean y_mean + c1) / (x_mean^2 + y_mean^2 + c1) and
        # 1 - (2 covariance + c2) / (x_variance + y_variance + c2): the same, but without differences of large numbers,
        # which in float32 can exceed c2 and leave equal pictures a distance that is not 0.
        texture = tf.math.squared_difference(x_mean, y_mean) / (x_mean**2 + y_mean**2 + _C1)
        structure = tf.reduce_mean(tf.math.squared_difference(x, y), axis=[1, 2]) / (x_variance + y_variance + _C2)
        addends.append(tf.reduce_sum(alpha * texture + beta * structure, axis=-1))
    return addends


def distance(params: Params, input0: tf.Tensor, input1: tf.Tensor) -> tf.Tensor:
    """Compare pictures with pictures, one by one, at the size they have: none is resized.

    Args:
      params: `{name: tensor}` with the names and shapes of `variable_shapes`, as `load_dists` reads them; all float32
        or all float64.
      input0, input1: floating point (N, H, W, 3), RGB in [0, 1], sides of any length. Values outside are not clipped.

    Returns:
      (N,) of the params' dtype; 0 for equal pictures, the same with the two inputs swapped.
    """
    return tf.add_n(stage_distances(params, stages(params, input0), stages(params, input1)))
