"""MaskNet: predicts how far each pixel of a restored face can be trusted (MetaF2N, `model/model.py`)."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

SCOPE = "Mask"
WIDTH = 64
NUM_CONV = 8

Params = Mapping[str, tf.Tensor]


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{"Mask/conv1/kernel": (3, 3, 6, 64), ...}`: kernels are HWIO, in the published order."""
    channels = [6, *[WIDTH] * (NUM_CONV - 1), 1]
    shapes = {}
    for index in range(NUM_CONV):
        shapes[f"{SCOPE}/conv{index + 1}/kernel"] = (3, 3, channels[index], channels[index + 1])
        shapes[f"{SCOPE}/conv{index + 1}/bias"] = (channels[index + 1],)
    return shapes


def initial_params(seed: int) -> dict[str, np.ndarray]:
    """Draw untrained weights: TF1's VarianceScaling (scale 1, fan in, truncated normal), zero biases, float32."""
    initializer = tf.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", seed=seed)
    return {
        name: initializer(shape).numpy() if len(shape) > 1 else np.zeros(shape, np.float32)
        for name, shape in variable_shapes().items()
    }


def resize_bicubic_legacy(images: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """TF1's `resize_bicubic`: align_corners=False and no half-pixel centres, as MaskNet was trained with."""
    return tf.raw_ops.ResizeBicubic(images=images, size=size, align_corners=False, half_pixel_centers=False)


def forward(params: Params, lq: tf.Tensor, hq: tf.Tensor) -> tf.Tensor:
    """Weigh the pixels of restored patches.

    Args:
      params: `{name: float32 tensor}` with the names and shapes of `variable_shapes`.
      lq: float32 (N, H, W, 3), LQ patches, RGB in [0, 1].
      hq: float32 (N, 4H, 4W, 3), restored patches, RGB in [0, 1].

    Returns:
      float32 (N, 4H, 4W, 1), the weights W >= 0 (ReLU, no upper bound).
    """
    x = tf.concat([resize_bicubic_legacy(lq, tf.shape(hq)[1:3]), hq], axis=-1)
    for index in range(1, NUM_CONV + 1):
        x = tf.nn.conv2d(x, params[f"{SCOPE}/conv{index}/kernel"], strides=1, padding="SAME")
        x = tf.nn.relu(tf.nn.bias_add(x, params[f"{SCOPE}/conv{index}/bias"]))
    return x
