"""MaskNet: predicts how far each pixel of a restored face can be trusted (MetaF2N, `model/model.py`)."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.sr import SCALE

SCOPE = "Mask"
WIDTH = 64
NUM_CONV = 8
CONTEXT = 4  # LQ pixels around a place that its W depends on: 8 HQ pixels of the convolutions, 2 of the enlargement
_TRUNCATED_DEVIATION = 0.87962566103423978  # of a normal cut off at 2

Params = Mapping[str, tf.Tensor]


def variable_shapes(width: int = WIDTH) -> dict[str, tuple[int, ...]]:
    """`{"Mask/conv1/kernel": (3, 3, 6, 64), ...}`: kernels are HWIO, in the published order."""
    channels = [6, *[width] * (NUM_CONV - 1), 1]
    shapes = {}
    for index in range(NUM_CONV):
        shapes[f"{SCOPE}/conv{index + 1}/kernel"] = (3, 3, channels[index], channels[index + 1])
        shapes[f"{SCOPE}/conv{index + 1}/bias"] = (channels[index + 1],)
    return shapes


def initial_params(seed: int, width: int = WIDTH, bias: float = 0.0) -> dict[str, np.ndarray]:
    """Draw untrained weights: TF1's VarianceScaling (scale 1, fan in, truncated normal), zero biases, float32.

    `bias` is the last convolution's: W starts near it.
    """
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in variable_shapes(width).items():
        values = rng.standard_normal(shape)
        while np.any(far := np.abs(values) > 2.0):
            values[far] = rng.standard_normal(np.count_nonzero(far))
        scale = 1.0 / np.sqrt(np.prod(shape[:-1])) / _TRUNCATED_DEVIATION
        params[name] = np.float32(scale * values) if len(shape) > 1 else np.zeros(shape, np.float32)
    params[f"{SCOPE}/conv{NUM_CONV}/bias"] += np.float32(bias)
    return params


def _taps(offset: float) -> list[float]:
    """TF1's cubic weights (a = -0.75) of the pixels at -1, 0, 1 and 2 for a point at `offset`."""
    a = -0.75
    near = lambda x: ((a + 2) * x - (a + 3)) * x * x + 1  # noqa: E731
    far = lambda x: ((a * x - 5 * a) * x + 8 * a) * x - 4 * a  # noqa: E731
    return [far(1 + offset), near(offset), near(1 - offset), far(2 - offset)]


def _enlarge(x: tf.Tensor, axis: int) -> tf.Tensor:
    """x4 along one axis: each pixel's corner lies on an LQ pixel, and the edge pixels go on outside."""
    count = tf.shape(x)[axis]
    inner = tf.range(count)
    pixels = [tf.gather(x, tf.clip_by_value(inner + tap, 0, count - 1), axis=axis) for tap in (-1, 0, 1, 2)]
    phases = [
        sum(weight * pixel for weight, pixel in zip(_taps(phase / SCALE), pixels, strict=True))
        for phase in range(SCALE)
    ]
    shape = tf.tensor_scatter_nd_update(tf.shape(x), [[axis]], [SCALE * count])
    return tf.reshape(tf.stack(phases, axis + 1), shape)


def enlarge_bicubic_legacy(images: tf.Tensor) -> tf.Tensor:
    """TF1's `resize_bicubic` to x4 without half-pixel centres, as MaskNet was trained with; its own op knows no XLA."""
    return _enlarge(_enlarge(images, 1), 2)


def forward(params: Params, lq: tf.Tensor, hq: tf.Tensor) -> tf.Tensor:
    """Weigh the pixels of restored patches.

    Args:
      params: `{name: float32 tensor}` with the names and shapes of `variable_shapes`.
      lq: float32 (N, H, W, 3), LQ patches, RGB in [0, 1].
      hq: float32 (N, 4H, 4W, 3), restored patches, RGB in [0, 1].

    Returns:
      float32 (N, 4H, 4W, 1), the weights W >= 0 (ReLU, no upper bound).
    """
    x = tf.concat([enlarge_bicubic_legacy(lq), hq], axis=-1)
    for index in range(1, NUM_CONV + 1):
        x = tf.nn.conv2d(x, params[f"{SCOPE}/conv{index}/kernel"], strides=1, padding="SAME")
        x = tf.nn.relu(tf.nn.bias_add(x, params[f"{SCOPE}/conv{index}/bias"]))
    return x
