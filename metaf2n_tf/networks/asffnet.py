"""ASFFNet, the face restorer that another photo of the same person guides.

Li et al., "Enhanced Blind Face Restoration with Multi-Exemplar Images and Adaptive Spatial Feature Fusion" (CVPR 2020);
`models/ASFFNet.py` of csxmli2016/ASFFNet512 is the published class, whose parameter names are kept. Its spectral
normalization is constant once trained: kernels here are already divided by it.
"""

from collections.abc import Mapping

import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape, zeros_around

FEATURE_STRIDE = 4  # pixels of a picture to a pixel of the features
LEAKY_SLOPE = 0.2
_ADAIN_EPSILON = 1e-5
_STEM_DILATIONS = ((7, 5), (5, 3), (3, 1))  # at full, half and quarter size
_MULTI_SCALE_DILATIONS = (4, 3, 2, 1)
_FUSION_BLOCKS = 4
# Layer of Mask_CModel.model: kernel, stride, output channels in quarters of the width. The last one ends in a sigmoid.
_MASK_CONVS = {0: (9, 2, 1), 2: (7, 1, 2), 4: (5, 2, 4), 6: (3, 1, 8), 8: (3, 1, 8)}
_UNBIASED = ("Mask_CModel.", ".MaskModel.")

Params = Mapping[str, tf.Tensor]


def _sff_names() -> list[str]:
    """The nine fusion layers: two in each of four blocks, and the last one."""
    blocks = range(_FUSION_BLOCKS)
    return [f"sff_branch.{block}.sff{i}" for block in blocks for i in (0, 1)] + [f"sff_branch.{_FUSION_BLOCKS}"]


def _convs(width: int) -> list[tuple[str, int, int, int]]:
    """Name, kernel side, input and output channels of every convolution."""
    half, full, double = width, 2 * width, 4 * width  # the features are `full` channels wide
    convs = []
    for model in ("LQ_Model", "Ref_Model"):
        cin = 3
        for level, cout in enumerate((half, full, double), start=1):
            convs.append((f"{model}.conv{level}.0", 3, cin, cout))
            convs += [(f"{model}.stem{level}_{i}.stem.{layer}", 3, cout, cout) for i in (1, 2) for layer in (0, 2)]
            cin = cout
        convs.append((f"{model}.conv4.0", 3, double, full))
    cin = 1
    for layer, (kernel, _, quarters) in _MASK_CONVS.items():
        cout = quarters * width // 4
        convs.append((f"Mask_CModel.model.{layer}", kernel, cin, cout))
        cin = cout
    convs += [(f"Component_CModel.model.{layer}", 1, full, full) for layer in (0, 3, 6)]
    convs += [(f"Component_CModel.model.{block}.Model.{layer}", 3, full, full) for block in (2, 5) for layer in (0, 2)]
    for name in _sff_names():
        convs += [(f"{name}.{part}Concat.0", 1, full, half) for part in ("Mask", "Degraded", "Ref")]
        convs += [(f"{name}.{part}Model.{layer}", 3, full, full) for part in ("Degraded", "Ref") for layer in (0, 2)]
        convs += [(f"{name}.MaskModel.0", 3, 3 * half, full), (f"{name}.MaskModel.2", 3, full, full)]
    for block in range(_FUSION_BLOCKS):
        for i in (0, 1):
            convs += [(f"sff_branch.{block}.conv{i}.{layer}", kernel, full, full) for layer, kernel in ((0, 5), (2, 3))]
    convs += [(f"MSDilate.conv{i}.0", 3, full, half) for i in range(1, 5)]
    convs += [("MSDilate.convi.0", 3, double, full), ("MSDilate.convi.2", 3, full, full)]
    convs += [("UpModel.1", 3, full, full), ("UpModel.4", 3, full, half), ("UpModel.9", 3, half, 3)]
    for block, channels in ((3, full), (6, half), (8, half)):
        convs += [(f"UpModel.{block}.Model{i}.{layer}", 3, channels, channels) for i in (0, 1) for layer in (0, 2)]
    return convs


def variable_shapes(width: int = 64) -> dict[str, tuple[int, ...]]:
    """`{published name: shape}`, kernels HWIO and named `.weight`, as they are after spectral normalization.

    Args:
      width: channels at full size, a multiple of 4; 64 as published.
    """
    shapes = {}
    for name, kernel, cin, cout in _convs(width):
        shapes[f"{name}.weight"] = (kernel, kernel, cin, cout)
        if not any(part in name for part in _UNBIASED):
            shapes[f"{name}.bias"] = (cout,)
    return shapes


def _conv(params: Params, name: str, x: tf.Tensor, dilation: int = 1, stride: int = 1) -> tf.Tensor:
    """Convolution with as many zeros on either side; TensorFlow's own dilation is faster than space-to-batch."""
    weight = params[f"{name}.weight"]
    padding = "SAME" if stride == 1 else zeros_around(static_shape(weight)[0] // 2)
    x = tf.nn.conv2d(x, weight, stride, padding, dilations=dilation)
    bias = params.get(f"{name}.bias")
    return x if bias is None else tf.nn.bias_add(x, bias)


def _leaky_conv(params: Params, name: str, x: tf.Tensor, dilation: int = 1, stride: int = 1) -> tf.Tensor:
    return tf.nn.leaky_relu(_conv(params, name, x, dilation, stride), LEAKY_SLOPE)


def _two_convs(params: Params, name: str, x: tf.Tensor, first: int = 1, second: int = 1) -> tf.Tensor:
    """Two convolutions with a leaky ReLU between them, dilated by `first` and `second`."""
    return _conv(params, f"{name}.2", _leaky_conv(params, f"{name}.0", x, first), second)


def _two_leaky_convs(params: Params, name: str, x: tf.Tensor, dilation: int = 1) -> tf.Tensor:
    return tf.nn.leaky_relu(_two_convs(params, name, x, dilation, dilation), LEAKY_SLOPE)


def extract(params: Params, model: str, images: tf.Tensor) -> tf.Tensor:
    """Features of (N, H, W, 3) pictures, (N, H/4, W/4, C), by `LQ_Model` or `Ref_Model`."""
    x = images
    for level, (first, second) in enumerate(_STEM_DILATIONS, start=1):
        x = _leaky_conv(params, f"{model}.conv{level}.0", x, stride=1 if level == 1 else 2)
        for block in (1, 2):
            x = x + _two_convs(params, f"{model}.stem{level}_{block}.stem", x, first, second)
    return _leaky_conv(params, f"{model}.conv4.0", x)


def mean_and_std(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and standard deviation of every channel over a picture, (N, 1, 1, C) each.

    The variance is the unbiased one, 1e-5 is added to it. Rows are summed one by one, which keeps float32 accurate.
    """
    mean = tf.reduce_mean(tf.reduce_mean(features, axis=1, keepdims=True), axis=2, keepdims=True)
    squares = tf.square(features - mean)
    variance = tf.reduce_mean(tf.reduce_mean(squares, axis=1, keepdims=True), axis=2, keepdims=True)
    pixels = tf.cast(tf.shape(features)[1] * tf.shape(features)[2], features.dtype)
    return mean, tf.sqrt(variance * (pixels / (pixels - 1)) + _ADAIN_EPSILON)


def adapt(content: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
    """AdaIN: `content` with the means and standard deviations of `style`, channel by channel."""
    content_mean, content_std = mean_and_std(content)
    style_mean, style_std = mean_and_std(style)
    return (content - content_mean) / content_std * style_std + style_mean


def sample(features: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """Warp features as PyTorch's `grid_sample` does by default: bilinear, zeros outside, `align_corners=False`.

    Args:
      features: (N, H, W, C).
      grid: float32 (N, H', W', 2), x and y of where to look; -1 and 1 are the outer edges of the outermost pixels.

    Returns:
      (N, H', W', C).
    """
    count, height, width, _ = tf.unstack(tf.shape(features))
    size = tf.cast(tf.stack([width, height]), grid.dtype)
    position = ((grid + 1) * size - 1) / 2
    corner = tf.floor(position)
    fraction = position - corner
    # A rim of zeros, onto which whatever lies outside is moved, takes the place of every test for the border.
    pixels = tf.reshape(tf.pad(features, zeros_around(1)), [count, -1, features.shape[3]])
    warped = 0.0
    for dy in (0, 1):
        for dx in (0, 1):
            at = tf.clip_by_value(corner + tf.constant([1.0 + dx, 1.0 + dy]), 0.0, size + 1)
            x, y = tf.unstack(tf.cast(at, tf.int32), axis=-1)
            weight = tf.reduce_prod(tf.abs([1.0 - dx, 1.0 - dy] - fraction), axis=-1, keepdims=True)
            warped += weight * tf.gather(pixels, y * (width + 2) + x, batch_dims=1)
    return warped


def condition_on_mask(params: Params, point_mask: tf.Tensor) -> tf.Tensor:
    """Where the landmarks are, as features: (N, H, W, 1) to (N, H/4, W/4, C) in (0, 1)."""
    x = point_mask
    for layer, (_, stride, _) in _MASK_CONVS.items():
        x = _conv(params, f"Mask_CModel.model.{layer}", x, stride=stride)
        x = tf.sigmoid(x) if layer == max(_MASK_CONVS) else tf.nn.leaky_relu(x, LEAKY_SLOPE)
    return x


def condition_on_exemplar(params: Params, warped: tf.Tensor) -> tf.Tensor:
    """The warped features of the exemplar, made ready for the fusion; same shape."""
    x = warped
    for conv, block in ((0, 2), (3, 5)):
        x = _leaky_conv(params, f"Component_CModel.model.{conv}", x)
        x = x + _two_leaky_convs(params, f"Component_CModel.model.{block}.Model", x)
    return _leaky_conv(params, "Component_CModel.model.6", x)


def _fuse_layer(params: Params, name: str, lq: tf.Tensor, component: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Adaptive spatial feature fusion: blend LQ and exemplar with a weight for every pixel and channel."""
    lq = _two_convs(params, f"{name}.DegradedModel", lq)
    component = _two_convs(params, f"{name}.RefModel", component)
    parts = {"MaskConcat": mask, "DegradedConcat": lq, "RefConcat": component}
    parts = tf.concat([_conv(params, f"{name}.{part}.0", x) for part, x in parts.items()], axis=-1)
    return lq + (component - lq) * _two_convs(params, f"{name}.MaskModel", parts)


def fuse(params: Params, lq: tf.Tensor, component: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The fusion branch: LQ features, conditioned exemplar and mask, (N, H, W, C) each, to the same shape."""
    for block in range(_FUSION_BLOCKS):
        x = lq
        for i in (0, 1):
            x = _fuse_layer(params, f"sff_branch.{block}.sff{i}", x, component, mask)
            x = _two_leaky_convs(params, f"sff_branch.{block}.conv{i}", x)
        lq = lq + x
    return _fuse_layer(params, f"sff_branch.{_FUSION_BLOCKS}", lq, component, mask)


def dilate(params: Params, x: tf.Tensor) -> tf.Tensor:
    """Context from four dilations side by side; same shape."""
    scales = enumerate(_MULTI_SCALE_DILATIONS, start=1)
    scales = [_leaky_conv(params, f"MSDilate.conv{i}.0", x, dilation) for i, dilation in scales]
    return _two_convs(params, "MSDilate.convi", tf.concat(scales, axis=-1)) + x


def _upsample_x2(x: tf.Tensor) -> tf.Tensor:
    """Bilinear, corners on corners."""
    return tf.raw_ops.ResizeBilinear(images=x, size=2 * tf.shape(x)[1:3], align_corners=True)


def _up_block(params: Params, name: str, x: tf.Tensor, first: int, second: int) -> tf.Tensor:
    x = x + _two_leaky_convs(params, f"{name}.Model0", x, first)
    return x + _two_leaky_convs(params, f"{name}.Model1", x, second)


def decode(params: Params, features: tf.Tensor) -> tf.Tensor:
    """(N, H/4, W/4, C) features to (N, H, W, 3) pictures in [-1, 1]."""
    x = _leaky_conv(params, "UpModel.1", _upsample_x2(features))
    x = _up_block(params, "UpModel.3", x, 1, 2)
    x = _leaky_conv(params, "UpModel.4", x)
    x = _up_block(params, "UpModel.6", x, 1, 2)
    x = _up_block(params, "UpModel.8", _upsample_x2(x), 1, 1)
    return tf.tanh(_conv(params, "UpModel.9", x))


def forward(params: Params, lq: tf.Tensor, ref: tf.Tensor, point_mask: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """Restore faces, each guided by an exemplar: a sharp photo of the same person.

    Args:
      params: `{published name: float32 tensor}` with the shapes of `variable_shapes`.
      lq: float32 (N, H, W, 3), RGB in [-1, 1], the faces to restore; published for 512 x 512, H and W multiples of 4.
      ref: the same of the exemplars.
      point_mask: float32 (N, H, W, 1), 1 around the landmarks of `lq` (`guidance.point_mask`).
      grid: float32 (N, H/4, W/4, 2), where the exemplar's features belong to those of `lq` (`warp.mls_grid`).

    Returns:
      float32 (N, H, W, 3), RGB in [-1, 1].
    """
    lq_features = extract(params, "LQ_Model", lq)
    warped = sample(adapt(extract(params, "Ref_Model", ref), lq_features), grid)
    mask = condition_on_mask(params, point_mask)
    fused = fuse(params, lq_features, condition_on_exemplar(params, warped), mask)
    return decode(params, dilate(params, fused) + lq_features)
