"""Recipe weights of the FID's InceptionV3, and the pictures of its golden cases, as golden/inception describes them."""

import functools
import json
from pathlib import Path

import numpy as np
import recipe

from metaf2n_tf.networks import inception
from metaf2n_tf.weights import pth

GOLDEN = Path(__file__).parent / "golden" / "inception"
META = json.loads((GOLDEN / "meta.json").read_text())


@functools.cache
def inception_state_dict():
    shapes = {name: tuple(shape) for name, shape in json.loads((GOLDEN / "shapes.json").read_text()).items()}
    return recipe.weights(shapes, META["seed"], gain=META["gain"])


@functools.cache
def inception_params():
    """The params dict that loading the state dict's file gives."""
    state = inception_state_dict()
    return {name: pth.to_tf_layout(state[name]) for name in inception.variable_shapes()}


def smooth(seed, size):
    return np.round(recipe.image((*size, 3), seed) * 255).astype(np.uint8)


def grainy(seed, size):
    """A picture that aliases where it shrinks."""
    return smooth(seed, size) // 2 + np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8) // 2


@functools.cache
def golden_pictures():
    """uint8 pictures: as large as the network wants them, to be enlarged, to be shrunk."""
    return {
        "same_size": smooth(81, (299, 299)),
        "enlarged": smooth(82, (128, 96)),
        "shrunk": grainy(83, (512, 400)),
    }


def golden_sets():
    """The two sets of pictures whose FID is known."""
    sizes = META["fid"]["sizes"]
    return (
        [smooth(100 + index, sizes[index % 4]) for index in range(12)],
        [grainy(200 + index, sizes[(index + 1) % 4]) for index in range(12)],
    )
