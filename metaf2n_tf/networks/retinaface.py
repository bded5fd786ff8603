"""RetinaFace on ResNet-50: the published face detector, from pixels to boxes and landmarks.

Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild" (CVPR 2020); the published PyTorch class
is biubug6/Pytorch_Retinaface's, which GPEN and MetaF2N carry as `face_detect`. Parameter names are its own.
"""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from metaf2n_tf.networks.typed import static_shape, zeros_around

MEAN_BGR = (104.0, 117.0, 123.0)
STRIDES = (8, 16, 32)
ANCHOR_SIZES = ((16, 32), (64, 128), (256, 512))
VARIANCES = (0.1, 0.2)
_BATCH_NORM_EPSILON = 1e-5
_BLOCKS = (3, 4, 6, 3)
_FPN = 256

Params = Mapping[str, tf.Tensor]


def _layers() -> dict[str, tuple[int, int, int]]:
    """`{convolution: (kernel, in, out)}`, each with the batch normalisation that follows it; see `_normalisation`."""
    layers = {"body.conv1": (7, 3, 64)}
    width = 64
    for layer, blocks in enumerate(_BLOCKS, start=1):
        inner = 32 * 2**layer
        for block in range(blocks):
            name = f"body.layer{layer}.{block}"
            layers[f"{name}.conv1"] = (1, width, inner)
            layers[f"{name}.conv2"] = (3, inner, inner)
            layers[f"{name}.conv3"] = (1, inner, 4 * inner)
            if block == 0:
                layers[f"{name}.downsample.0"] = (1, width, 4 * inner)
            width = 4 * inner
    for level in (1, 2, 3):
        layers[f"fpn.output{level}.0"] = (1, _FPN * 2**level, _FPN)
    for level in (1, 2):
        layers[f"fpn.merge{level}.0"] = (3, _FPN, _FPN)
    for level in (1, 2, 3):
        layers[f"ssh{level}.conv3X3.0"] = (3, _FPN, _FPN // 2)
        layers[f"ssh{level}.conv5X5_1.0"] = (3, _FPN, _FPN // 4)
        for conv in ("conv5X5_2", "conv7X7_2", "conv7x7_3"):
            layers[f"ssh{level}.{conv}.0"] = (3, _FPN // 4, _FPN // 4)
    return layers


def _normalisation(conv: str) -> str:
    """`body.layer1.0.conv2` -> `body.layer1.0.bn2`; `fpn.merge1.0` -> `fpn.merge1.1`."""
    stem, leaf = conv.rsplit(".", 1)
    return f"{stem}.1" if leaf == "0" else f"{stem}.{leaf.replace('conv', 'bn')}"


_HEADS = {"ClassHead": 2, "BboxHead": 4, "LandmarkHead": 10}


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """`{published name: shape}`, kernels HWIO."""
    shapes = {}
    for conv, (kernel, cin, cout) in _layers().items():
        shapes[f"{conv}.weight"] = (kernel, kernel, cin, cout)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{_normalisation(conv)}.{leaf}"] = (cout,)
    for head, values in _HEADS.items():
        for level in range(len(STRIDES)):
            cout = values * len(ANCHOR_SIZES[level])
            shapes[f"{head}.{level}.conv1x1.weight"] = (1, 1, _FPN, cout)
            shapes[f"{head}.{level}.conv1x1.bias"] = (cout,)
    return shapes


def _conv_bn(params: Params, conv: str, x: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Convolution and batch normalisation as one: the statistics are folded into kernel and bias."""
    norm = _normalisation(conv)
    kernel = params[f"{conv}.weight"]
    scale = params[f"{norm}.weight"] * tf.math.rsqrt(params[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
    bias = params[f"{norm}.bias"] - params[f"{norm}.running_mean"] * scale
    padding = zeros_around(static_shape(kernel)[0] // 2)
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel * scale, stride, padding), bias)


def _bottleneck(params: Params, name: str, x: tf.Tensor, stride: int) -> tf.Tensor:
    y = tf.nn.relu(_conv_bn(params, f"{name}.conv1", x))
    y = tf.nn.relu(_conv_bn(params, f"{name}.conv2", y, stride))
    y = _conv_bn(params, f"{name}.conv3", y)
    if f"{name}.downsample.0.weight" in params:
        x = _conv_bn(params, f"{name}.downsample.0", x, stride)
    return tf.nn.relu(x + y)


def backbone(params: Params, images: tf.Tensor) -> list[tf.Tensor]:
    """ResNet-50's features at strides 8, 16 and 32."""
    x = tf.nn.relu(_conv_bn(params, "body.conv1", images, stride=2))
    x = tf.pad(x, zeros_around(1))  # zeros lose against whatever a ReLU gives
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    features = []
    for layer, blocks in enumerate(_BLOCKS, start=1):
        for block in range(blocks):
            stride = 2 if block == 0 and layer > 1 else 1
            x = _bottleneck(params, f"body.layer{layer}.{block}", x, stride)
        features.append(x)
    return features[1:]


def _resize_nearest(x: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """PyTorch's nearest neighbour: no half-pixel centres, which matters where the ratio is not exactly 2."""
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size, align_corners=False, half_pixel_centers=False)


def feature_pyramid(params: Params, features: list[tf.Tensor]) -> list[tf.Tensor]:
    """Features of all strides at one width, each enriched by the next coarser one."""
    levels = [tf.nn.relu(_conv_bn(params, f"fpn.output{i}.0", x)) for i, x in enumerate(features, start=1)]
    for i in (1, 0):
        levels[i] += _resize_nearest(levels[i + 1], tf.shape(levels[i])[1:3])
        levels[i] = tf.nn.relu(_conv_bn(params, f"fpn.merge{i + 1}.0", levels[i]))
    return levels


def _context(params: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    """SSH module: the same features seen through 3x3, 5x5 and 7x7 windows."""
    by3 = _conv_bn(params, f"{name}.conv3X3.0", x)
    shared = tf.nn.relu(_conv_bn(params, f"{name}.conv5X5_1.0", x))
    by5 = _conv_bn(params, f"{name}.conv5X5_2.0", shared)
    by7 = tf.nn.relu(_conv_bn(params, f"{name}.conv7X7_2.0", shared))
    by7 = _conv_bn(params, f"{name}.conv7x7_3.0", by7)
    return tf.nn.relu(tf.concat([by3, by5, by7], axis=-1))


def forward(params: Params, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Look for faces at every anchor.

    Args:
      params: `{published name: float32 tensor}` with the shapes of `variable_shapes`.
      images: float32 (N, H, W, 3), BGR levels 0..255 minus `MEAN_BGR`.

    Returns:
      float32 box offsets (N, A, 4), face probabilities (N, A), landmark offsets (N, A, 10), for `decode`; the anchors
      are those of `priors(H, W)`.
    """
    levels = feature_pyramid(params, backbone(params, images))
    levels = [_context(params, f"ssh{i}", x) for i, x in enumerate(levels, start=1)]

    def head(name: str) -> tf.Tensor:
        outputs = []
        for level, x in enumerate(levels):
            y = tf.nn.conv2d(x, params[f"{name}.{level}.conv1x1.weight"], 1, "VALID")
            y = tf.nn.bias_add(y, params[f"{name}.{level}.conv1x1.bias"])
            outputs.append(tf.reshape(y, [tf.shape(x)[0], -1, _HEADS[name]]))
        return tf.concat(outputs, axis=1)

    return head("BboxHead"), tf.nn.softmax(head("ClassHead"))[:, :, 1], head("LandmarkHead")


def priors(height: int, width: int) -> np.ndarray:
    """float32 (A, 4) anchors (centre x, centre y, width, height) as fractions of a picture of that size."""
    boxes = []
    for stride, sizes in zip(STRIDES, ANCHOR_SIZES, strict=True):
        rows, cols = math.ceil(height / stride), math.ceil(width / stride)
        y, x, size = np.meshgrid(np.arange(rows) + 0.5, np.arange(cols) + 0.5, np.array(sizes, float), indexing="ij")
        fractions = [x * stride / width, y * stride / height, size / width, size / height]
        boxes.append(np.stack(fractions, axis=-1).reshape(-1, 4))
    return np.concatenate(boxes).astype(np.float32)


def decode(anchors: np.ndarray, box_offsets: np.ndarray, landmark_offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets to places.

    Args:
      anchors: (A, 4) of `priors`.
      box_offsets, landmark_offsets: (A, 4) and (A, 10) of `forward`.

    Returns:
      float32 boxes (A, 4) as x0, y0, x1, y1, and landmarks (A, 5, 2) as x, y; fractions of the picture.
    """
    centre, size = anchors[:, :2], anchors[:, 2:]
    middle = centre + box_offsets[:, :2] * np.float32(VARIANCES[0]) * size
    extent = size * np.exp(box_offsets[:, 2:] * np.float32(VARIANCES[1]))
    corner = middle - extent / 2
    points = landmark_offsets.reshape(-1, 5, 2) * np.float32(VARIANCES[0]) * size[:, None]
    return np.concatenate([corner, corner + extent], axis=1), centre[:, None] + points


def suppress(detections: np.ndarray, threshold: float) -> list[int]:
    """Greedy non-maximum suppression.

    Args:
      detections: (D, 5) boxes in pixels with scores.
      threshold: largest intersection over union with a better box that is kept.

    Returns:
      Rows that are kept, best first. Sides count their last pixel (x1 - x0 + 1), as published.
    """
    x0, y0, x1, y1, scores = detections.T
    areas = (x1 - x0 + 1) * (y1 - y0 + 1)
    order = scores.argsort()[::-1]
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(int(best))
        width = np.maximum(0.0, np.minimum(x1[best], x1[order]) - np.maximum(x0[best], x0[order]) + 1)
        height = np.maximum(0.0, np.minimum(y1[best], y1[order]) - np.maximum(y0[best], y0[order]) + 1)
        overlap = width * height
        order = order[overlap / (areas[best] + areas[order] - overlap) <= threshold]
    return kept
