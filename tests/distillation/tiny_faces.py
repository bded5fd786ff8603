"""Small sets of faces with parsing maps, and the settings of a run on them."""

import cv2
import numpy as np

from metaf2n_tf.commands.runs.tfrecord import Options, Request, run
from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.distillation.settings import Settings


def write_pictures(folder, count, side, seed):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        noise = rng.integers(0, 256, (6, 6, 3), np.uint8)
        picture = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
        images.write_rgb8(folder / f"{index:02}.png", np.ascontiguousarray(picture))
    return folder


def make_set(folder, count=5, side=32, parsing=True, seed=0):
    """The path of a set of so many faces."""
    faces = write_pictures(folder / "HR", count, side, seed)
    maps = str(write_pictures(folder / "parsing", count, side, seed + 100)) if parsing else None
    tfrecord = folder / "whole_face.tfrecord"
    assert run([Request(tfrecord, [str(faces)], Cropping(side, parsing_dir=maps))], Options()) == 0
    return str(tfrecord)


def settings(place, stage="teacher", **changes):
    """Two epochs of three steps."""
    values = {"epochs": 2, "batch_size": 2, "lr": 1e-3, "width": 16, "blocks": 1, "augment": True}
    return Settings(**{"stage": stage, "output_dir": str(place), **values, **changes})
