"""KDFSRNet, face super-resolution by distillation: a teacher that sees a parsing map, a student that does not.

Wang et al., "Propagating Facial Prior Knowledge for Multi-Task Learning in Face Super-Resolution" (TCSVT 2022);
`Student` and `Teacherp` of `model/net.py` (wcy-cs/KDFSRNet), whose parameter names and order of channels are kept. Both
are one hourglass of residual channel attention blocks and differ in what they take in and in the number of blocks.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape

LEVELS = 4  # halvings
UNIT = 2**LEVELS  # sides must be multiples of it
_REDUCTION = 16  # of the channels, in the attention

Params = Mapping[str, tf.Tensor]


class Architecture(NamedTuple):
    """channels: of the input; width: of the features, at least 16; blocks: a stage."""

    channels: int
    width: int = 64
    blocks: int = 6


STUDENT = Architecture(channels=3)
TEACHER = Architecture(channels=6, blocks=2)  # the LQ face, then its parsing map


def _stages(blocks: int) -> Iterator[tuple[str, range]]:
    for name in (*(f"down_stage{level}" for level in range(1, LEVELS + 1)), "bottleneck"):
        yield name, range(blocks)
    for level in range(1, LEVELS + 1):
        yield f"up_stage{level}", range(blocks)


def variable_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """`{published name: shape}`, kernels HWIO.

    The published student's file also holds `sub_mean` and `add_mean`, which are never applied.
    """
    channels, width, blocks = architecture
    squeezed = width // _REDUCTION
    convs = {"head.0": (3, 3, channels, width), "tail.0": (3, 3, width, 3)}
    for level in range(1, LEVELS + 1):
        convs[f"down{level}.1"] = (3, 3, 4 * width, width)
        convs[f"up{level}.0"] = (3, 3, width, 4 * width)
    for stage, indices in _stages(blocks):
        for index in indices:
            body = f"{stage}.{index}.body"
            convs |= {f"{body}.0": (3, 3, width, width), f"{body}.2": (3, 3, width, width)}
            convs |= {f"{body}.3.conv_du.0": (1, 1, width, squeezed), f"{body}.3.conv_du.2": (1, 1, squeezed, width)}
    shapes = {}
    for name, shape in convs.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[-1:]}
    return shapes


def architecture_of(params: Mapping[str, np.ndarray | tf.Tensor]) -> Architecture:
    """Read it off a network's variables; a KeyError names what is missing."""
    blocks = 1
    while f"down_stage1.{blocks}.body.0.weight" in params:
        blocks += 1
    _, _, channels, width = static_shape(params["head.0.weight"])
    return Architecture(channels, width, blocks)


def initial_params(seed: int, architecture: Architecture) -> dict[str, np.ndarray]:
    """Draw untrained weights as PyTorch initializes convolutions: uniform within 1/sqrt(fan in)."""
    rng = np.random.default_rng(seed)
    shapes = variable_shapes(architecture)
    params = {}
    for name, shape in shapes.items():
        bound = 1 / np.sqrt(np.prod(shapes[name.replace(".bias", ".weight")][:-1]))
        params[name] = np.float32(rng.uniform(-bound, bound, shape))
    return params


def _conv(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.nn.conv2d(x, params[f"{name}.weight"], 1, "SAME"), params[f"{name}.bias"])


def _down(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    """Half the size: pixels to channels, then a convolution.

    PyTorch numbers the four pixels within each channel, TensorFlow the channels within each pixel: the kernel, which is
    small, is put in TensorFlow's order, not the features.
    """
    weight = params[f"{name}.weight"]
    side, _, cin, cout = static_shape(weight)
    weight = tf.reshape(weight, [side, side, cin // 4, 4, cout])
    weight = tf.reshape(tf.transpose(weight, [0, 1, 3, 2, 4]), [side, side, cin, cout])
    return tf.nn.bias_add(tf.nn.conv2d(tf.nn.space_to_depth(x, 2), weight, 1, "SAME"), params[f"{name}.bias"])


def _up(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    """Twice the size: a convolution, then channels to pixels; the kernel is reordered as in `_down`."""
    weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    side, _, cin, cout = static_shape(weight)
    weight = tf.reshape(weight, [side, side, cin, cout // 4, 4])
    weight = tf.reshape(tf.transpose(weight, [0, 1, 2, 4, 3]), [side, side, cin, cout])
    bias = tf.reshape(tf.transpose(tf.reshape(bias, [cout // 4, 4])), [cout])
    return tf.nn.depth_to_space(tf.nn.bias_add(tf.nn.conv2d(x, weight, 1, "SAME"), bias), 2)


def _stage(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    """Residual channel attention blocks, one after the other."""
    index = 0
    while f"{name}.{index}.body.0.weight" in params:
        body = f"{name}.{index}.body"
        features = _conv(params, f"{body}.2", tf.nn.relu(_conv(params, f"{body}.0", x)))
        attention = tf.reduce_mean(features, axis=[1, 2], keepdims=True)
        attention = tf.nn.relu(_conv(params, f"{body}.3.conv_du.0", attention))
        x += features * tf.sigmoid(_conv(params, f"{body}.3.conv_du.2", attention))
        index += 1
    return x


def forward(params: Params, images: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Super-resolve aligned faces that are enlarged to their final size already.

    Args:
      params: `{published name: float32 tensor}` with the shapes of `variable_shapes`; blocks and width are read off.
      images: float32 (N, H, W, 3), RGB in [0, 1]; the teacher's (N, H, W, 6), the parsing map behind the face. H and W
        are multiples of 16.

    Returns:
      The features after each of the nine stages, at 1/2, 1/4, 1/8, 1/16, 1/16, 1/8, 1/4, 1/2 and 1 of the size; and the
      faces, float32 (N, H, W, 3), about [0, 1], not clipped.
    """
    x, features = _conv(params, "head.0", images), []
    for level in range(1, LEVELS + 1):
        x = _stage(params, f"down_stage{level}", _down(params, f"down{level}.1", x))
        features.append(x)
    x = _stage(params, "bottleneck", x)
    features.append(x)
    for level in range(1, LEVELS + 1):
        x = _stage(params, f"up_stage{level}", _up(params, f"up{level}.0", x))
        features.append(x)
    return features, _conv(params, "tail.0", x)
