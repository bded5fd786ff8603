"""SRVGGNetCompact with a branch that sees the whole face: ours, the network of `faces_lite`.

A face prior needs to know where in a face a pixel lies; 34 convolutions of 3x3 see 34 pixels. So early in the stack the
features go down to 1/8 of their size and up again (a small U-Net) and come back as a correction. The branch's last
convolution is drawn as zeros: with it, a trained compact network gives at first what it gave without.
"""

import itertools
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks import srvgg

SCOPE = f"{srvgg.SCOPE}/context"
AFTER = 7  # of the stack's blocks, counted from 0; after the last one where there are fewer
WIDTHS = (96, 128, 160)  # at 1/2, 1/4 and 1/8
_SLOPE = 0.2  # of leaky ReLU

Params = srvgg.Params


def variable_shapes(num_conv: int = 32, num_feat: int = 64, widths: tuple[int, ...] = WIDTHS) -> dict[str, tuple]:
    """The compact network's, then `MODEL/context/downN|innerN|upN|joinN/{weight,bias}`; kernels are HWIO."""
    shapes, channels = srvgg.variable_shapes(num_conv, num_feat), (num_feat, *widths)
    for level, (cin, cout) in enumerate(itertools.pairwise(channels)):
        convs = {"down": (cin, cout), "inner": (cout, cout), "join": (cout, cout), "up": (cout, cin)}
        for kind, (inputs, outputs) in convs.items():
            shapes[f"{SCOPE}/{kind}{level}/weight"] = (3, 3, inputs, outputs)
            shapes[f"{SCOPE}/{kind}{level}/bias"] = (outputs,)
    return shapes


def initial_branch(num_feat: int = 64, widths: tuple[int, ...] = WIDTHS, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw an untrained branch (He et al., 2015) that adds nothing to a network's features."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in variable_shapes(0, num_feat, widths).items():
        if name.startswith(f"{SCOPE}/"):
            fan_in = np.prod(shape[:-1])
            drawn = rng.standard_normal(shape) * np.sqrt(2.0 / fan_in) if len(shape) > 1 else np.zeros(shape)
            params[name] = np.float32(0.0 * drawn if name == f"{SCOPE}/up0/weight" else drawn)
    return params


def count_levels(params: Mapping[str, object]) -> int:
    """How often the branch halves the size."""
    level = 0
    while f"{SCOPE}/down{level}/weight" in params:
        level += 1
    return level


def _conv(params: Params, name: str, x: tf.Tensor, strides: int = 1) -> tf.Tensor:
    y = tf.nn.conv2d(x, params[f"{SCOPE}/{name}/weight"], strides=strides, padding="SAME")
    return tf.nn.bias_add(y, params[f"{SCOPE}/{name}/bias"])


def _leaky_conv(params: Params, name: str, x: tf.Tensor, strides: int = 1) -> tf.Tensor:
    return tf.nn.leaky_relu(_conv(params, name, x, strides), _SLOPE)


def _branch(params: Params, x: tf.Tensor, level: int = 0) -> tf.Tensor:
    """What the levels from this one on have to say of (N, H, W, C), in that shape."""
    inner = _leaky_conv(params, f"inner{level}", _leaky_conv(params, f"down{level}", x, strides=2))
    if f"{SCOPE}/down{level + 1}/weight" in params:
        inner += _branch(params, inner, level + 1)
    inner = _leaky_conv(params, f"join{level}", inner)
    return _conv(params, f"up{level}", tf.repeat(tf.repeat(inner, 2, axis=1), 2, axis=2))


def _extended(x: tf.Tensor, axis: int, unit: int) -> tf.Tensor:
    """Its last row or column repeated up to the next multiple of `unit`."""
    size = tf.shape(x)[axis]
    return tf.gather(x, tf.minimum(tf.range((size + unit - 1) // unit * unit), size - 1), axis=axis)


def _with_context(params: Params, x: tf.Tensor) -> tf.Tensor:
    unit = 2 ** count_levels(params)
    if all(side is not None and side % unit == 0 for side in x.shape[1:3]):
        return x + _branch(params, x)
    branch = _branch(params, _extended(_extended(x, 1, unit), 2, unit))
    return x + branch[:, : tf.shape(x)[1], : tf.shape(x)[2]]


def forward(params: Params, images: tf.Tensor, run_block: srvgg.Block = srvgg.block) -> tf.Tensor:
    """Super-resolve a batch x4; as `srvgg.forward`, with the names of `variable_shapes`."""
    after = min(AFTER, srvgg.count_convs(params))
    return srvgg.forward(params, images, run_block, {after: lambda x: _with_context(params, x)})
