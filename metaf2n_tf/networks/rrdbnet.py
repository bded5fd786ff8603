"""RRDBNet, the Real-ESRGAN x4plus generator: the super-resolution network that MetaF2N adapts.

Wang et al., "ESRGAN" (2018) and "Real-ESRGAN" (2021); `basicsr/archs/rrdbnet_arch.py` is the published
PyTorch class, `model/model.py` of MetaF2N the published TensorFlow one, whose variable names are kept here.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

SCOPE = "MODEL"
SCALE = 4
LEAKY_SLOPE = 0.2
RESIDUAL_SCALE = 0.2

Params = Mapping[str, tf.Tensor]
Block = Callable[..., tf.Tensor]  # of features and the block's variables, in order

_RRDB_CONVS = [f"rdb{rdb}/conv{conv}" for rdb in (1, 2, 3) for conv in (1, 2, 3, 4, 5)]
_RRDB_LEAVES = [f"{conv}/{leaf}" for conv in _RRDB_CONVS for leaf in ("weight", "bias")]


def conv_channels(num_block: int = 23, num_feat: int = 64, num_grow_ch: int = 32) -> dict[str, tuple[int, int]]:
    """`{"conv_first": (3, 64), ...}`: input and output channels of every convolution, in the published order."""
    channels = {"conv_first": (3, num_feat)}
    for block in range(num_block):
        for conv in _RRDB_CONVS:
            index = int(conv[-1])
            out = num_grow_ch if index < 5 else num_feat
            channels[f"body/{block}/{conv}"] = (num_feat + (index - 1) * num_grow_ch, out)
    channels |= {name: (num_feat, num_feat) for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr")}
    return channels | {"conv_last": (num_feat, 3)}


def variable_shapes(num_block: int = 23, num_feat: int = 64, num_grow_ch: int = 32) -> dict[str, tuple[int, ...]]:
    """`{"MODEL/conv_first/weight": (3, 3, 3, 64), ...}`: kernels are HWIO, biases (out,), in the published order."""
    shapes = {}
    for name, (cin, cout) in conv_channels(num_block, num_feat, num_grow_ch).items():
        shapes[f"{SCOPE}/{name}/weight"] = (3, 3, cin, cout)
        shapes[f"{SCOPE}/{name}/bias"] = (cout,)
    return shapes


def count_blocks(params: Mapping[str, object]) -> int:
    """How many RRDB blocks the parameters hold (23 in the published network)."""
    block = 0
    while f"{SCOPE}/body/{block}/rdb1/conv1/weight" in params:
        block += 1
    return block


def _conv(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    y = tf.nn.conv2d(x, params[f"{name}/weight"], strides=1, padding="SAME")
    return tf.nn.bias_add(y, params[f"{name}/bias"])


def _leaky_conv(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.leaky_relu(_conv(params, name, x), LEAKY_SLOPE)


def block(x: tf.Tensor, *leaves: tf.Tensor) -> tf.Tensor:
    """A residual-in-residual dense block: (N, H, W, C) and its variables, in order, to (N, H, W, C)."""
    params = dict(zip(_RRDB_LEAVES, leaves, strict=True))
    skip = x
    for rdb in ("rdb1", "rdb2", "rdb3"):
        features = x
        for conv in ("conv1", "conv2", "conv3", "conv4"):
            features = tf.concat([features, _leaky_conv(params, f"{rdb}/{conv}", features)], axis=-1)
        x = x + RESIDUAL_SCALE * _conv(params, f"{rdb}/conv5", features)
    return skip + RESIDUAL_SCALE * x


# One function that every block calls, so that 23 blocks are traced, and under XLA compiled, as one.
BLOCK = tf.function(block, autograph=False)
XLA_BLOCK = tf.function(block, jit_compile=True, autograph=False)


def _nearest_x2(x: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)


def forward(params: Params, images: tf.Tensor, run_block: Block = BLOCK) -> tf.Tensor:
    """Super-resolve a batch x4.

    Args:
      params: `{name: tensor}` with the names of `variable_shapes`; number of blocks and widths are read off it.
      images: (N, H, W, 3) of the parameters' dtype, RGB in [0, 1].
      run_block: computes a residual block: `BLOCK`; `XLA_BLOCK`, which XLA compiles, one program for all of them; or,
        for a caller that is itself under XLA, `block`.

    Returns:
      (N, 4H, 4W, 3), RGB, about [0, 1], not clipped; differentiable to any order in `params` and `images`.
    """
    head = _conv(params, f"{SCOPE}/conv_first", images)
    x = head
    for index in range(count_blocks(params)):
        x = run_block(x, *(params[f"{SCOPE}/body/{index}/{leaf}"] for leaf in _RRDB_LEAVES))
    x = head + _conv(params, f"{SCOPE}/conv_body", x)
    x = _leaky_conv(params, f"{SCOPE}/conv_up1", _nearest_x2(x))
    x = _leaky_conv(params, f"{SCOPE}/conv_up2", _nearest_x2(x))
    x = _leaky_conv(params, f"{SCOPE}/conv_hr", x)
    return _conv(params, f"{SCOPE}/conv_last", x)
