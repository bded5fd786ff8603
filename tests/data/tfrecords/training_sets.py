"""Pictures, sets made of them, and what those hold."""

import json

import cv2
import numpy as np
import tensorflow as tf

from metaf2n_tf.commands.runs.tfrecord import Options, Request, run
from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.data.tfrecords.records import open_set

CROPPING = Cropping(32, 16)


def make_picture(height, width, seed):
    """Smooth and detailed, uint8 RGB: degraded, it is still recognised."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return np.ascontiguousarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def write_pictures(folder, sizes, first_seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(sizes):
        images.write_rgb8(folder / f"{index:03}.png", make_picture(*size, first_seed + index))
    return folder


def make(tmp_path, folder, where="out", cropping=CROPPING, **options):
    path = tmp_path / where / "set.tfrecord"
    return run([Request(path, [str(folder)], cropping)], Options(**options)), path


def read_all(path):
    opened = open_set(str(path))
    return list(opened.read(tf.data.Dataset.range(opened.count)).as_numpy_iterator())


def read_manifest(path):
    return json.loads(path.with_suffix(".json").read_text())
