"""SRVGGNetCompact, the compact Real-ESRGAN generator: a plain stack of convolutions at LQ resolution.

Wang et al., "Real-ESRGAN" (2021); `basicsr/archs/srvgg_arch.py` is the published PyTorch class. Its state dict's names
are kept, under the scope of MetaF2N's SR network.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

SCOPE = "MODEL"
SCALE = 4

Params = Mapping[str, tf.Tensor]
Block = Callable[..., tf.Tensor]  # of features and the block's variables, in order


def variable_shapes(num_conv: int = 32, num_feat: int = 64) -> dict[str, tuple[int, ...]]:
    """`{"MODEL/body/0/weight": (3, 3, 3, 64), ...}`: kernels HWIO, else (out,); published order."""
    shapes, channels = {}, 3
    for index in range(num_conv + 2):
        out = num_feat if index < num_conv + 1 else 3 * SCALE**2
        shapes[f"{SCOPE}/body/{2 * index}/weight"] = (3, 3, channels, out)
        shapes[f"{SCOPE}/body/{2 * index}/bias"] = (out,)
        if index < num_conv + 1:
            shapes[f"{SCOPE}/body/{2 * index + 1}/weight"] = (out,)
        channels = out
    return shapes


def count_convs(params: Mapping[str, object]) -> int:
    """How many convolutions lie between the first and the last one (32 in realesr-general-x4v3)."""
    index = 0
    while f"{SCOPE}/body/{2 * index + 1}/weight" in params:
        index += 1
    return index - 1


def _conv(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.nn.conv2d(x, weight, strides=1, padding="SAME"), bias)


def block(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """A convolution and its PReLU: (N, H, W, C) to (N, H, W, out)."""
    y = _conv(x, weight, bias)
    return tf.nn.relu(y) - slope * tf.nn.relu(-y)


def _shuffled(last: tf.Tensor) -> tf.Tensor:
    """The last variable's outputs, stored as PyTorch's pixel shuffle wants them, in `depth_to_space`'s order."""
    planes = tf.reshape(last, [*last.shape[:-1], 3, SCALE**2])
    order = [*range(len(planes.shape) - 2), len(planes.shape) - 1, len(planes.shape) - 2]
    return tf.reshape(tf.transpose(planes, order), last.shape)


def forward(
    params: Params,
    images: tf.Tensor,
    run_block: Block = block,
    between: Mapping[int, Callable[[tf.Tensor], tf.Tensor]] | None = None,
) -> tf.Tensor:
    """Super-resolve a batch x4.

    Args:
      params: `{name: tensor}` with the names of `variable_shapes`; depth and width are read off it.
      images: (N, H, W, 3) of the parameters' dtype, RGB in [0, 1].
      run_block: computes a convolution and its PReLU.
      between: what else becomes of the features after the blocks of these numbers, counted from 0.

    Returns:
      (N, 4H, 4W, 3), RGB, about [0, 1], not clipped; differentiable to any order in `params` and `images`.
    """
    x, count = images, count_convs(params) + 1
    for index in range(count):
        convolution, slopes = f"{SCOPE}/body/{2 * index}", f"{SCOPE}/body/{2 * index + 1}"
        x = run_block(x, params[f"{convolution}/weight"], params[f"{convolution}/bias"], params[f"{slopes}/weight"])
        if between and index in between:
            x = between[index](x)
    last = f"{SCOPE}/body/{2 * count}"
    x = _conv(x, _shuffled(params[f"{last}/weight"]), _shuffled(params[f"{last}/bias"]))
    # Each HQ pixel gets its LQ pixel beside what the network says: the picture enlarged (nearest) is added.
    return tf.nn.depth_to_space(x + tf.tile(images, [1, 1, 1, SCALE**2]), SCALE)
