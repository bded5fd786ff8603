"""The degradation chain as one writes it with NumPy and OpenCV, picture by picture: the baseline of data.py.

The arithmetic is the published one, so its pictures are ours; OpenCV filters where it filters the same way.
"""

import time
from collections import defaultdict

import cv2
import numpy as np

SECONDS = defaultdict(float)  # by operation
MODES = ("area", "bilinear", "bicubic")


def timed(function):
    """Add a function's time to SECONDS."""

    def wrapped(*arguments):
        began = time.perf_counter()
        result = function(*arguments)
        SECONDS[function.__name__] += time.perf_counter() - began
        return result

    return wrapped


@timed
def filter2d(image, kernel):
    """Correlate with a kernel."""
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def _resize_rows(image, out, ratio, mode):
    length = len(image)
    if mode == "area":
        starts = np.arange(out) * length // out
        stops = -(-(np.arange(out) + 1) * length // out)
        sums = np.concatenate([np.zeros_like(image[:1], np.float64), np.cumsum(image, axis=0, dtype=np.float64)])
        return np.float32((sums[stops] - sums[starts]) / (stops - starts)[:, None, None])
    centre = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(ratio) - np.float32(0.5)
    if mode == "bilinear":
        centre = np.clip(centre, 0, length - 1)
        first = np.int32(centre)
        t = (centre - first)[:, None, None]
        return image[first] * (1 - t) + image[np.minimum(first + 1, length - 1)] * t
    first = np.int32(np.floor(centre))
    t, a = (centre - first)[:, None, None], np.float32(-0.75)
    far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (t + 1, 2 - t)]
    near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (t, 1 - t)]
    taps = zip((-1, 0, 1, 2), (far[0], *near, far[1]), strict=True)
    return sum(weight * image[np.clip(first + offset, 0, length - 1)] for offset, weight in taps)


@timed
def resize(image, out, ratio, mode):
    """PyTorch's F.interpolate of a square picture."""
    rows = _resize_rows(image, out, ratio, mode)
    return _resize_rows(rows.swapaxes(0, 1), out, ratio, mode).swapaxes(0, 1)


@timed
def noise(image, gaussian, strength, gray, rng):
    """Add Gaussian or Poisson noise."""
    if gaussian:
        drawn = rng.standard_normal(image.shape[:2] + ((1,) if gray else (3,)), np.float32) * strength / 255
    else:
        source = image @ np.float32([0.2989, 0.587, 0.114]) if gray else image
        levels = np.clip(np.round(source * 255), 0, 255) / 255
        values = 2 ** np.ceil(np.log2(len(np.unique(levels))))
        drawn = (rng.poisson(levels * values) / values - levels) * strength
        drawn = drawn[..., None] if gray else drawn
    return np.float32(np.clip(image + drawn, 0, 1))


def _blocks(plane):
    return plane.reshape(plane.shape[0] // 8, 8, -1, 8).swapaxes(1, 2)


@timed
def jpeg(image, quality):
    """DiffJPEG: through rounded DCT coefficients and back."""
    from metaf2n_tf.data.operations import jpeg as tables

    factor = np.float32(50 / quality if quality < 50 else 2 - quality / 50)
    x, u = np.mgrid[:8, :8]
    basis = np.float32(np.cos((2 * x + 1) * u * np.pi / 16) * np.where(u == 0, np.sqrt(1 / 8), 1 / 2))
    height, width = image.shape[:2]
    levels = np.pad(image * np.float32(255), ((0, -height % 16), (0, -width % 16), (0, 0)))
    ycbcr = levels @ tables._TO_YCBCR.T
    planes = [ycbcr[..., 0]]
    for chroma in (ycbcr[..., 1], ycbcr[..., 2]):
        halved = chroma.reshape(chroma.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
        planes.append(halved + 128)
    decoded = []
    for plane, table in zip(planes, (tables._LUMA, tables._CHROMA, tables._CHROMA), strict=True):
        steps = table.T * factor
        coefficients = np.round(basis.T @ (_blocks(plane) - 128) @ basis / steps) * steps
        decoded.append((basis @ coefficients @ basis.T).swapaxes(1, 2).reshape(plane.shape) + 128)
    chroma = [plane.repeat(2, axis=0).repeat(2, axis=1) - 128 for plane in decoded[1:]]
    rgb = np.stack([decoded[0], *chroma], axis=-1) @ tables._TO_RGB.T
    return np.clip(rgb[:height, :width] / np.float32(255), 0, 1)


@timed
def usm(image):
    """Unsharp masking."""

    def blur(x):
        return cv2.GaussianBlur(x, (51, 51), 0, borderType=cv2.BORDER_REFLECT_101)

    residual = image - blur(image)
    soft = blur(np.float32(np.abs(residual) * 255 > 10))
    return soft * np.clip(image + np.float32(0.5) * residual, 0, 1) + (1 - soft) * image


def degrade(image, parameters, stages, rng):
    """One picture, float32 (S, S, 3) in [0, 1], to uint8 (S / 4, S / 4, 3)."""
    side = len(image) // 4

    def add_noise(image, drawn, stage):
        low, high = stage.gaussian_sigma if drawn.gaussian else stage.poisson_scale
        return noise(image, drawn.gaussian, rng.uniform(low, high), rng.uniform() < stage.gray_prob, rng)

    def finish(image):
        return filter2d(resize(image, side, len(image) / side, MODES[parameters.final_mode]), parameters.sinc)

    first, second = parameters.first, parameters.second
    image = filter2d(image, first.kernel)
    image = resize(image, int(np.floor(len(image) * first.scale)), 1 / first.scale, MODES[first.mode])
    image = jpeg(add_noise(image, first, stages[0]), first.quality)
    if second.blurred:
        image = filter2d(image, second.kernel)
    middle = int(side * second.scale)
    image = add_noise(resize(image, middle, len(image) / middle, MODES[second.mode]), second, stages[1])
    if parameters.sinc_before_jpeg:
        image = jpeg(np.clip(finish(image), 0, 1), second.quality)
    else:
        image = finish(jpeg(image, second.quality))
    return np.uint8(np.clip(np.round(image * 255), 0, 255))
