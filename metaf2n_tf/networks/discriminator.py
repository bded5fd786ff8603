"""Real-ESRGAN's U-Net discriminator with spectral normalization: says, pixel by pixel, how real a picture looks.

Wang et al., "Real-ESRGAN" (2021), `UNetDiscriminatorSN`; spectral normalization by Miyato et al. (2018). Arithmetic and
names are those of MetaF2N's TensorFlow class (`model/model.py`), which starts one power iteration from the stored `u`
whenever it is used (PyTorch's, in evaluation, takes the stored `v` as it is).
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape, zeros_around

SCOPE = "Discriminator"
LEAKY_SLOPE = 0.2
_NORM_EPSILON = 1e-12

Params = Mapping[str, tf.Tensor]
_Value = TypeVar("_Value")

# name: (kernel side, multiples of the width in and out, stride); spectrally normalized all but the first and the last.
_CONVS = {
    "conv1": (4, 1, 2, 2),
    "conv2": (4, 2, 4, 2),
    "conv3": (4, 4, 8, 2),
    "conv4": (3, 8, 4, 1),
    "conv5": (3, 4, 2, 1),
    "conv6": (3, 2, 1, 1),
    "conv7": (3, 1, 1, 1),
    "conv8": (3, 1, 1, 1),
}
NORMALIZED = tuple(_CONVS)


def variable_shapes(width: int = 64) -> dict[str, tuple[int, ...]]:
    """`{"Discriminator/conv0/weight": (3, 3, 3, 64), ...}`: kernels are HWIO, `u` is (1, out), in published order."""
    shapes = {f"{SCOPE}/conv0/weight": (3, 3, 3, width), f"{SCOPE}/conv0/bias": (width,)}
    for name, (side, cin, cout, _) in _CONVS.items():
        shapes[f"{SCOPE}/{name}/weight"] = (side, side, cin * width, cout * width)
    shapes |= {f"{SCOPE}/conv9/weight": (3, 3, width, 1), f"{SCOPE}/conv9/bias": (1,)}
    return shapes | {f"{SCOPE}/{name}/u": (1, cout * width) for name, (_, _, cout, _) in _CONVS.items()}


def trained(params: Mapping[str, _Value]) -> dict[str, _Value]:
    """The variables that an optimizer changes: all but the vectors `u`."""
    return {name: value for name, value in params.items() if not name.endswith("/u")}


def initial_params(seed: int, width: int = 64) -> dict[str, np.ndarray]:
    """Draw untrained weights as PyTorch initializes this network: uniform within 1/sqrt(fan in), `u` of unit length."""
    rng = np.random.default_rng(seed)
    shapes = variable_shapes(width)
    params = {}
    for name, shape in shapes.items():
        if name.endswith("/u"):
            u = rng.standard_normal(shape)
            params[name] = np.float32(u / np.linalg.norm(u))
        else:
            bound = 1 / np.sqrt(np.prod(shapes[name.replace("/bias", "/weight")][:-1]))
            params[name] = np.float32(rng.uniform(-bound, bound, shape))
    return params


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / (tf.norm(vector) + _NORM_EPSILON)


def normalize(params: Params) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Divide the kernels by their largest singular values, estimated by one power iteration from the stored `u`.

    Args:
      params: float32, named as in `variable_shapes`.

    Returns:
      The parameters with normalized kernels, which are differentiable through the singular values but not through the
      vectors (and without `u`); and the advanced vectors, `{"Discriminator/conv1/u": (1, out), ...}`, to be stored.
    """
    normalized, advanced = trained(params), {}
    for conv in NORMALIZED:
        name = f"{SCOPE}/{conv}/weight"
        kernel = params[name]
        matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
        v = _unit(tf.matmul(params[f"{SCOPE}/{conv}/u"], matrix, transpose_b=True))
        u = _unit(tf.matmul(v, matrix))
        u, v = tf.stop_gradient(u), tf.stop_gradient(v)
        normalized[name] = kernel / tf.reduce_sum(tf.matmul(v, matrix) * u)
        advanced[f"{SCOPE}/{conv}/u"] = u
    return normalized, advanced


def _conv(params: Params, name: str, x: tf.Tensor, stride: int = 1) -> tf.Tensor:
    x = tf.nn.conv2d(x, params[f"{SCOPE}/{name}/weight"], stride, zeros_around(1))
    bias = params.get(f"{SCOPE}/{name}/bias")
    return x if bias is None else tf.nn.bias_add(x, bias)


def _leaky_conv(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.leaky_relu(_conv(params, name, x, _CONVS[name][-1] if name in _CONVS else 1), LEAKY_SLOPE)


def _bilinear_x2(x: tf.Tensor) -> tf.Tensor:
    _, height, width, _ = static_shape(x)
    return tf.cast(tf.image.resize(x, [2 * height, 2 * width]), x.dtype)  # its result is always float32


def forward(normalized: Params, images: tf.Tensor) -> tf.Tensor:
    """Logits of being real.

    Args:
      normalized: parameters of `normalize`; they are divided once however many batches are looked at.
      images: (N, H, W, 3) of the parameters' dtype, RGB in [0, 1]; H and W static multiples of 8.

    Returns:
      (N, H, W, 1), before the sigmoid.
    """
    x0 = _leaky_conv(normalized, "conv0", images)
    x1 = _leaky_conv(normalized, "conv1", x0)
    x2 = _leaky_conv(normalized, "conv2", x1)
    x3 = _leaky_conv(normalized, "conv3", x2)
    x = _leaky_conv(normalized, "conv4", _bilinear_x2(x3)) + x2
    x = _leaky_conv(normalized, "conv5", _bilinear_x2(x)) + x1
    x = _leaky_conv(normalized, "conv6", _bilinear_x2(x)) + x0
    x = _leaky_conv(normalized, "conv8", _leaky_conv(normalized, "conv7", x))
    return _conv(normalized, "conv9", x)
