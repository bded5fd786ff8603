"""Recipe weights of the face networks, in the published layout, as golden/NETWORKS describes them."""

import json
from pathlib import Path

import numpy as np
import recipe

from metaf2n_tf.networks import gpen
from metaf2n_tf.weights import pth

GOLDEN = Path(__file__).parent / "golden"
_BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


# Channels at 4, 8, ... pixels of the published files.
GPEN_CHANNELS = {
    256: (256, 256, 256, 256, 128, 64, 32),
    512: (512, 512, 512, 512, 512, 256, 128, 64),
    1024: (512, 512, 512, 512, 512, 256, 128, 64, 32),
    2048: (512, 512, 512, 512, 512, 256, 128, 64, 32, 16),
}


def _shapes(topic):
    return {name: tuple(shape) for name, shape in json.loads((GOLDEN / topic / "shapes.json").read_text()).items()}


def _draw_gpen(shapes, seed):
    """Rule E: plain normal values, 100 times that in the mapping network; blur kernels are constants."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith(".kernel"):
            state[name] = _BLUR if name.startswith("ecd") else 4 * _BLUR
            continue
        equalised = len(shape) > 1 and not name.endswith(".bias")
        gain = np.sqrt(np.prod(shape[1:])) * (100 if name.startswith("generator.style.") else 1) if equalised else 1
        state[name] = recipe.draw(name, shape, seed, gain=gain)
    return state


def gpen_state_dict(topic, seed=41):
    """Of golden/gpen256 or golden/gpen512."""
    return _draw_gpen(_shapes(topic), seed)


def tiny_gpen_state_dict(size=64, width=4, seed=3):
    """A narrow GPEN of any size."""
    shapes = {}
    for name, shape in gpen.variable_shapes([width] * (size.bit_length() - 2)).items():
        if len(shape) == 4:
            leading = (1,) if name.endswith(".conv.weight") else ()
            shape = (*leading, shape[3], shape[2], *shape[:2])
        shapes[name] = shape[::-1] if len(shape) == 2 else shape
    return _draw_gpen(shapes, seed)


def retinaface_state_dict(seed=51, gain=0.75):
    return recipe.weights(_shapes("retinaface_r50"), seed, gain=gain)


def to_params(state):
    """The params dict that loading the state dict's file gives."""
    return {name: pth.to_tf_layout(value) for name, value in state.items()}
