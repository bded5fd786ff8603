"""Pictures to make training sets of."""

import cv2
import numpy as np

from metaf2n_tf.data import images


def make_picture(height, width, seed):
    """Smooth and detailed, uint8 RGB: degraded, it is still recognised."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return np.ascontiguousarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def write_pictures(folder, sizes, first_seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(sizes):
        images.write_rgb8(folder / f"{index:03}.png", make_picture(*size, first_seed + index))
    return folder
