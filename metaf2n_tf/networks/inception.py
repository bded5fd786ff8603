"""InceptionV3 as the FID measures with it: from pictures to the 2048 features of its last pooling, "pool3".

The network is TensorFlow's of 2015 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR
2016), as the package pytorch-fid 0.3.0 has it: average pooling leaves padding out, and the last block takes maxima.
Parameter names are those of its weight file `pt_inception-2015-12-05-6726825d.pth`.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import tensorflow as tf

SIDE = 299  # pixels, of the pictures that the network was trained on
FEATURES = 2048
RESIZES = ("pytorch_fid", "tensorflow")
_BATCH_NORM_EPSILON = 1e-3

Params = Mapping[str, tf.Tensor]


class _Conv(NamedTuple):
    """Convolution without bias, batch normalisation, ReLU."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: Literal["SAME", "VALID"] = "SAME"


class _Pool(NamedTuple):
    """Mean or maximum of 3x3. "SAME" is one pixel around, which counts neither in means nor in maxima."""

    kind: str
    stride: int = 1
    padding: Literal["SAME", "VALID"] = "SAME"


class _Branches(tuple):
    """Sequences of steps that all start from the same features; their results are joined in this order."""

    def __new__(cls, *branches: "_Steps"):
        return super().__new__(cls, branches)


_Step = _Conv | _Pool | _Branches
_Steps = tuple[_Step, ...]
_MEAN, _MAX, _SHRINK = _Pool("AVG"), _Pool("MAX"), _Pool("MAX", 2, "VALID")


def _block_a(name: str, pool_width: int) -> _Branches:
    """35x35."""
    return _Branches(
        (_Conv(f"{name}.branch1x1", 64),),
        (_Conv(f"{name}.branch5x5_1", 48), _Conv(f"{name}.branch5x5_2", 64, (5, 5))),
        (
            _Conv(f"{name}.branch3x3dbl_1", 64),
            _Conv(f"{name}.branch3x3dbl_2", 96, (3, 3)),
            _Conv(f"{name}.branch3x3dbl_3", 96, (3, 3)),
        ),
        (_MEAN, _Conv(f"{name}.branch_pool", pool_width)),
    )


def _block_b(name: str) -> _Branches:
    """35x35 to 17x17."""
    return _Branches(
        (_Conv(f"{name}.branch3x3", 384, (3, 3), 2, "VALID"),),
        (
            _Conv(f"{name}.branch3x3dbl_1", 64),
            _Conv(f"{name}.branch3x3dbl_2", 96, (3, 3)),
            _Conv(f"{name}.branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
        ),
        (_SHRINK,),
    )


def _block_c(name: str, inner: int) -> _Branches:
    """17x17."""
    return _Branches(
        (_Conv(f"{name}.branch1x1", 192),),
        (
            _Conv(f"{name}.branch7x7_1", inner),
            _Conv(f"{name}.branch7x7_2", inner, (1, 7)),
            _Conv(f"{name}.branch7x7_3", 192, (7, 1)),
        ),
        (
            _Conv(f"{name}.branch7x7dbl_1", inner),
            _Conv(f"{name}.branch7x7dbl_2", inner, (7, 1)),
            _Conv(f"{name}.branch7x7dbl_3", inner, (1, 7)),
            _Conv(f"{name}.branch7x7dbl_4", inner, (7, 1)),
            _Conv(f"{name}.branch7x7dbl_5", 192, (1, 7)),
        ),
        (_MEAN, _Conv(f"{name}.branch_pool", 192)),
    )


def _block_d(name: str) -> _Branches:
    """17x17 to 8x8."""
    return _Branches(
        (_Conv(f"{name}.branch3x3_1", 192), _Conv(f"{name}.branch3x3_2", 320, (3, 3), 2, "VALID")),
        (
            _Conv(f"{name}.branch7x7x3_1", 192),
            _Conv(f"{name}.branch7x7x3_2", 192, (1, 7)),
            _Conv(f"{name}.branch7x7x3_3", 192, (7, 1)),
            _Conv(f"{name}.branch7x7x3_4", 192, (3, 3), 2, "VALID"),
        ),
        (_SHRINK,),
    )


def _block_e(name: str, pool: _Pool) -> _Branches:
    """8x8."""

    def both_ways(stem: str) -> _Branches:
        return _Branches((_Conv(f"{stem}a", 384, (1, 3)),), (_Conv(f"{stem}b", 384, (3, 1)),))

    return _Branches(
        (_Conv(f"{name}.branch1x1", 320),),
        (_Conv(f"{name}.branch3x3_1", 384), both_ways(f"{name}.branch3x3_2")),
        (
            _Conv(f"{name}.branch3x3dbl_1", 448),
            _Conv(f"{name}.branch3x3dbl_2", 384, (3, 3)),
            both_ways(f"{name}.branch3x3dbl_3"),
        ),
        (pool, _Conv(f"{name}.branch_pool", 192)),
    )


_STAGES: dict[str, _Step] = {
    "Conv2d_1a_3x3": _Conv("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
    "Conv2d_2a_3x3": _Conv("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
    "Conv2d_2b_3x3": _Conv("Conv2d_2b_3x3", 64, (3, 3)),
    "maxpool1": _SHRINK,
    "Conv2d_3b_1x1": _Conv("Conv2d_3b_1x1", 80),
    "Conv2d_4a_3x3": _Conv("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
    "maxpool2": _SHRINK,
    "Mixed_5b": _block_a("Mixed_5b", 32),
    "Mixed_5c": _block_a("Mixed_5c", 64),
    "Mixed_5d": _block_a("Mixed_5d", 64),
    "Mixed_6a": _block_b("Mixed_6a"),
    "Mixed_6b": _block_c("Mixed_6b", 128),
    "Mixed_6c": _block_c("Mixed_6c", 160),
    "Mixed_6d": _block_c("Mixed_6d", 160),
    "Mixed_6e": _block_c("Mixed_6e", 192),
    "Mixed_7a": _block_d("Mixed_7a"),
    "Mixed_7b": _block_e("Mixed_7b", _MEAN),
    "Mixed_7c": _block_e("Mixed_7c", _MAX),
}


def _convolutions(steps: _Steps, channels: int) -> Iterator[tuple[_Conv, int]]:
    """Each convolution with the channels that enter it; returns the channels that leave the last step."""
    for step in steps:
        if isinstance(step, _Conv):
            yield step, channels
            channels = step.width
        elif isinstance(step, _Branches):
            widths = []
            for branch in step:
                widths.append((yield from _convolutions(branch, channels)))
            channels = sum(widths)
    return channels


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{published name: shape}`, kernels HWIO."""
    shapes = {}
    for conv, channels in _convolutions(tuple(_STAGES.values()), 3):
        shapes[f"{conv.name}.conv.weight"] = (*conv.kernel, channels, conv.width)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{conv.name}.bn.{leaf}"] = (conv.width,)
    return shapes


def prepare(images: tf.Tensor, resize: str = "pytorch_fid") -> tf.Tensor:
    """Bring pictures to the size and range that the network wants.

    Both resizes interpolate between the 2x2 nearest pixels also where they shrink, so fine patterns alias.

    Args:
      images: float32 (N, H, W, 3), RGB in [0, 1].
      resize: "pytorch_fid" is PyTorch's `F.interpolate` (half-pixel centres) and 2 x - 1, as pytorch-fid does;
        "tensorflow" is the graph of 2015 itself, with which the FID was first published: TensorFlow 1's bilinear
        resize, whose pixel 0 stays in place, and (255 x - 128) / 128.

    Returns:
      float32 (N, `SIDE`, `SIDE`, 3).
    """
    tensorflow = RESIZES.index(resize) == 1
    size = [SIDE, SIDE]
    x = tf.raw_ops.ResizeBilinear(images=images, size=size, align_corners=False, half_pixel_centers=not tensorflow)
    return (255 * x - 128) / 128 if tensorflow else 2 * x - 1


def _conv(params: Params, conv: _Conv, x: tf.Tensor) -> tf.Tensor:
    """The statistics of the batch normalisation are folded into kernel and bias."""
    norm = f"{conv.name}.bn"
    scale = params[f"{norm}.weight"] * tf.math.rsqrt(params[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
    bias = params[f"{norm}.bias"] - params[f"{norm}.running_mean"] * scale
    x = tf.nn.conv2d(x, params[f"{conv.name}.conv.weight"] * scale, conv.stride, conv.padding)
    return tf.nn.relu(tf.nn.bias_add(x, bias))


def _run(params: Params, steps: _Steps, x: tf.Tensor) -> tf.Tensor:
    for step in steps:
        if isinstance(step, _Conv):
            x = _conv(params, step, x)
        elif isinstance(step, _Pool):
            x = tf.nn.pool(x, (3, 3), step.kind, (step.stride, step.stride), step.padding)
        else:
            x = tf.concat([_run(params, branch, x) for branch in step], axis=-1)
    return x


def stages(params: Params, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """`{published name: features}` of every stage, for the arguments of `pool3`."""
    found = {}
    for name, step in _STAGES.items():
        images = found[name] = _run(params, (step,), images)
    return found


def pool3(params: Params, images: tf.Tensor) -> tf.Tensor:
    """The features whose distribution the FID compares.

    Args:
      params: `{published name: float32 tensor}` with the shapes of `variable_shapes`.
      images: float32 (N, `SIDE`, `SIDE`, 3) of `prepare`.

    Returns:
      float32 (N, `FEATURES`), not negative.
    """
    return tf.reduce_mean(stages(params, images)["Mixed_7c"], axis=[1, 2])
