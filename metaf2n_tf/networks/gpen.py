"""GPEN, the face restorer: an encoder whose features steer a StyleGAN2 decoder.

Yang et al., "GAN Prior Embedded Network for Blind Face Restoration in the Wild" (CVPR 2021); `FullGenerator` of
`face_model/gpen_model.py` (yangxy/GPEN, and a copy in MetaF2N) is the published class, whose parameter names are kept.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape, zeros_around

STYLE_DIM = 512
NUM_MLP = 8
LEAKY_SLOPE = 0.2
_STYLE_LR_MUL = 0.01
_EPSILON = 1e-8
_BLUR = np.array([1, 3, 3, 1], np.float32) / 8

Params = Mapping[str, tf.Tensor]


def _conv_shapes(name: str, kernel: int, cin: int, cout: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.weight": (kernel, kernel, cin, cout),
        f"{name}.modulation.weight": (STYLE_DIM, cin),
        f"{name}.modulation.bias": (cin,),
    }


def _styled_shapes(name: str, cin: int, cout: int) -> dict[str, tuple[int, ...]]:
    noise_and_bias = {f"{name}.noise.weight": (1,), f"{name}.activate.bias": (2 * cout,)}
    return _conv_shapes(f"{name}.conv", 3, cin, cout) | noise_and_bias


def _rgb_shapes(name: str, cin: int) -> dict[str, tuple[int, ...]]:
    return _conv_shapes(f"{name}.conv", 1, cin, 3) | {f"{name}.bias": (1, 1, 3, 1)}


def variable_shapes(channels: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """`{published name: shape}` in TensorFlow's layout: kernels HWIO, matrices (in, out).

    The published files also hold the blur kernels (`*.kernel`), which are constants and not needed.

    Args:
      channels: widths at 4, 8, ... pixels; GPEN-BFR-512's are 512 (five times), 256, 128 and 64, GPEN-BFR-256's 256
        (four times), 128, 64 and 32.
    """
    shapes = {}
    for layer in range(1, NUM_MLP + 1):
        shapes[f"generator.style.{layer}.weight"] = (STYLE_DIM, STYLE_DIM)
        shapes[f"generator.style.{layer}.bias"] = (STYLE_DIM,)
    shapes["generator.input.input"] = (4, 4, channels[0], 1)
    shapes |= _styled_shapes("generator.conv1", channels[0], channels[0])
    shapes |= _rgb_shapes("generator.to_rgb1", 2 * channels[0])
    for stage in range(1, len(channels)):
        before, width = channels[stage - 1], channels[stage]
        shapes |= _styled_shapes(f"generator.convs.{2 * stage - 2}", 2 * before, width)
        shapes |= _styled_shapes(f"generator.convs.{2 * stage - 1}", 2 * width, width)
        shapes |= _rgb_shapes(f"generator.to_rgbs.{stage - 1}", 2 * width)
    shapes |= {"ecd0.0.0.weight": (1, 1, 3, channels[-1]), "ecd0.0.1.bias": (channels[-1],)}
    for index in range(1, len(channels)):
        width, narrower = channels[-index], channels[-index - 1]
        shapes |= {f"ecd{index}.0.1.weight": (3, 3, width, narrower), f"ecd{index}.0.2.bias": (narrower,)}
    shapes |= {"final_linear.0.weight": (16 * channels[0], STYLE_DIM), "final_linear.0.bias": (STYLE_DIM,)}
    return shapes


def count_stages(params: Mapping[str, object]) -> int:
    """How many sizes the network works at: 4, 8, ... pixels."""
    stages = 1
    while f"ecd{stages}.0.1.weight" in params:
        stages += 1
    return stages


def resolution(params: Mapping[str, object]) -> int:
    """Side of the pictures that the network takes and gives, in pixels."""
    return 2 ** (count_stages(params) + 1)


def _activate(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.leaky_relu(x + bias, LEAKY_SLOPE) * math.sqrt(2)


def _linear(params: Params, name: str, x: tf.Tensor, lr_mul: float = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    weight = params[f"{name}.weight"]
    return x @ weight * (lr_mul / math.sqrt(static_shape(weight)[0])), params[f"{name}.bias"] * lr_mul


def _conv(x: tf.Tensor, weight: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Equalised convolution: 'SAME' at stride 1, 'VALID' at stride 2."""
    scale = 1 / math.sqrt(math.prod(static_shape(weight)[:3]))
    return tf.nn.conv2d(x, weight * scale, stride, "SAME" if stride == 1 else "VALID")


def _blur(x: tf.Tensor, pad: int) -> tf.Tensor:
    """Low-pass every channel with [1, 3, 3, 1] on both axes; the result is 2 pad - 3 pixels larger."""
    kernel = tf.constant(np.outer(_BLUR, _BLUR)[:, :, None, None])
    x = tf.pad(x, zeros_around(pad))
    return tf.nn.depthwise_conv2d(x, tf.tile(kernel, [1, 1, static_shape(x)[3], 1]), [1, 1, 1, 1], "VALID")


def _upsample_x2(x: tf.Tensor) -> tf.Tensor:
    """Zeros between the pixels, then a low-pass that keeps the mean."""
    channels = static_shape(x)[3]
    kernel = 4 * np.outer(_BLUR, _BLUR)[:, :, None, None] * np.eye(channels, dtype=np.float32)
    n, h, w = tf.unstack(tf.shape(x)[:3])
    return tf.nn.conv2d_transpose(x, kernel, tf.stack([n, 2 * h, 2 * w, channels]), 2, "SAME")


def _modulated_conv(
    params: Params, name: str, x: tf.Tensor, style: tf.Tensor, demodulate: bool = True, upsample: bool = False
) -> tf.Tensor:
    """StyleGAN2's modulated convolution.

    Scaling the kernel's input channels by the style and its output channels to unit norm is done on the activations
    instead, so that all faces of a batch share one kernel.
    """
    weight = params[f"{name}.weight"]
    product, bias = _linear(params, f"{name}.modulation", style)
    style = (product + bias) / math.sqrt(math.prod(static_shape(weight)[:3]))
    x = x * style[:, None, None, :]
    if upsample:
        n, h, w = tf.unstack(tf.shape(x)[:3])
        size = tf.stack([n, 2 * h + 1, 2 * w + 1, static_shape(weight)[3]])
        x = tf.nn.conv2d_transpose(x, tf.transpose(weight, [0, 1, 3, 2]), size, 2, "VALID")
        x = 4 * _blur(x, pad=1)
    else:
        x = tf.nn.conv2d(x, weight, 1, "SAME")
    if demodulate:
        energy = tf.square(style) @ tf.reduce_sum(tf.square(weight), axis=[0, 1])
        x = x * tf.math.rsqrt(energy + _EPSILON)[:, None, None, :]
    return x


def _styled_conv(
    params: Params, name: str, x: tf.Tensor, style: tf.Tensor, features: tf.Tensor, upsample: bool = False
) -> tf.Tensor:
    x = _modulated_conv(params, f"{name}.conv", x, style, upsample=upsample)
    x = tf.concat([x, params[f"{name}.noise.weight"] * features], axis=-1)
    return _activate(x, params[f"{name}.activate.bias"])


def _to_rgb(params: Params, name: str, x: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
    return _modulated_conv(params, f"{name}.conv", x, style, demodulate=False) + tf.reshape(params[f"{name}.bias"], [3])


def encode(params: Params, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The encoder: (N, 512) code, and the features at 4, 8, ... pixels that take the place of StyleGAN2's noise."""
    x = _activate(_conv(images, params["ecd0.0.0.weight"]), params["ecd0.0.1.bias"])
    features = [x]
    for index in range(1, count_stages(params)):
        x = _conv(_blur(x, pad=2), params[f"ecd{index}.0.1.weight"], stride=2)
        x = _activate(x, params[f"ecd{index}.0.2.bias"])
        features.append(x)
    flat = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, 16 * static_shape(x)[3]])
    return _activate(*_linear(params, "final_linear.0", flat)), features[::-1]


def map_style(params: Params, code: tf.Tensor) -> tf.Tensor:
    """The mapping network: (N, 512) code to (N, 512) style."""
    style = code * tf.math.rsqrt(tf.reduce_mean(tf.square(code), axis=-1, keepdims=True) + _EPSILON)
    for layer in range(1, NUM_MLP + 1):
        style = _activate(*_linear(params, f"generator.style.{layer}", style, _STYLE_LR_MUL))
    return style


def decode(params: Params, style: tf.Tensor, features: Sequence[tf.Tensor]) -> tf.Tensor:
    """The StyleGAN2 decoder: style and features to (N, S, S, 3) pictures."""
    x = tf.repeat(tf.transpose(params["generator.input.input"], [3, 0, 1, 2]), tf.shape(style)[0], axis=0)
    x = _styled_conv(params, "generator.conv1", x, style, features[0])
    rgb = _to_rgb(params, "generator.to_rgb1", x, style)
    for stage in range(1, len(features)):
        x = _styled_conv(params, f"generator.convs.{2 * stage - 2}", x, style, features[stage], upsample=True)
        x = _styled_conv(params, f"generator.convs.{2 * stage - 1}", x, style, features[stage])
        rgb = _to_rgb(params, f"generator.to_rgbs.{stage - 1}", x, style) + _upsample_x2(rgb)
    return rgb


def forward(params: Params, images: tf.Tensor) -> tf.Tensor:
    """Restore aligned faces.

    Args:
      params: `{published name: float32 tensor}` with the shapes of `variable_shapes`; the size is read off them.
      images: float32 (N, S, S, 3), RGB in [-1, 1], S = `resolution(params)`.

    Returns:
      float32 (N, S, S, 3), RGB, about [-1, 1], not clipped.
    """
    code, features = encode(params, images)
    return decode(params, map_style(params, code), features)
