"""Recipe weights of ASFFNet, in the published layout, and the pictures of its golden case."""

import json
from pathlib import Path

import numpy as np
import recipe

from metaf2n_tf.networks import asffnet
from metaf2n_tf.weights import pth

GOLDEN = Path(__file__).parent / "golden" / "asffnet"


def published_shapes():
    return {name: tuple(shape) for name, shape in json.loads((GOLDEN / "shapes.json").read_text()).items()}


def _draw(shapes, seed, gain):
    """Rule S: one power iteration from the drawn u, so that neither vector is what more iterations would give."""
    state = recipe.weights(shapes, seed, gain=gain)
    for name in [name.removesuffix("_orig") for name in shapes if name.endswith("_orig")]:
        matrix = state[f"{name}_orig"].astype(np.float64)
        matrix = matrix.reshape(len(matrix), -1)
        v = matrix.T @ state[f"{name}_u"].astype(np.float64)
        v /= np.linalg.norm(v)
        u = matrix @ v
        state |= {f"{name}_u": np.float32(u / np.linalg.norm(u)), f"{name}_v": np.float32(v)}
    return state


def asffnet_state_dict(seed=71, gain=2.0):
    """Of the golden case: `weight_orig`, `weight_u` and `weight_v` where there is spectral normalization."""
    return _draw(published_shapes(), seed, gain)


def tiny_asffnet_state_dict(width=4, seed=3):
    """The same layers, narrow."""
    shapes = {}
    normalized = {name.removesuffix("_orig") for name in published_shapes() if name.endswith("_orig")}
    for name, shape in asffnet.variable_shapes(width).items():
        if len(shape) == 4:
            shape = (shape[3], shape[2], *shape[:2])
        if name in normalized:
            vectors = {f"{name}_u": shape[:1], f"{name}_v": (int(np.prod(shape[1:])),)}
            shapes |= {f"{name}_orig": shape} | vectors
        else:
            shapes[name] = shape
    return _draw(shapes, seed, 1.0)


def to_params(state):
    """What PyTorch evaluates: kernels divided by sigma = u W v, in TensorFlow's layout."""
    params = {}
    for name, value in state.items():
        stem = name.removesuffix("_orig")
        if stem != name:
            u, v = state[f"{stem}_u"].astype(np.float64), state[f"{stem}_v"].astype(np.float64)
            value = value / np.float32(u @ value.reshape(len(u), -1) @ v)
        if not name.endswith(("_u", "_v")):
            params[stem] = pth.to_tf_layout(value)
    return params
