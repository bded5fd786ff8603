"""Recipe weights of KDFSRNet, in the published layout."""

import json
from pathlib import Path

import recipe

from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.weights import pth

PUBLISHED = {"student": kdfsrnet.STUDENT, "teacherp": kdfsrnet.TEACHER}


def published_shapes(network):
    path = Path(__file__).parent / "golden" / "kdfsrnet" / f"shapes_{network}.json"
    return {name: tuple(shape) for name, shape in json.loads(path.read_text()).items()}


def state_dict(network, seed=61):
    """Of the published size."""
    return recipe.weights(published_shapes(network), seed)


def tiny_state_dict(architecture, seed=3):
    """A narrow one, in PyTorch's layout."""
    shapes = kdfsrnet.variable_shapes(architecture)
    shapes = {name: (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape for name, shape in shapes.items()}
    return recipe.weights(shapes, seed)


def to_params(state):
    """The params dict that loading the state dict's file gives, of those names."""
    return {name: pth.to_tf_layout(value) for name, value in state.items()}
