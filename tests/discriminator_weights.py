"""The discriminator's weights of the golden cases."""

import numpy as np
import recipe

from metaf2n_tf.networks import discriminator


def published_weights(shapes, seed, spectral_iterations):
    """Recipe weights under the published `.pth` names; rule S of the golden cases turns u by one power iteration."""
    state = recipe.weights(shapes, seed)
    for name in [name for name in state if name.endswith("weight_u")]:
        matrix = state[name.replace("_u", "_orig")].astype(np.float64)
        matrix = matrix.reshape(len(matrix), -1)
        u = state[name].astype(np.float64)
        for _ in range(spectral_iterations):
            v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
            u = matrix @ v / np.linalg.norm(matrix @ v)
            state[name.replace("_u", "_v")] = v.astype(np.float32)
        state[name] = u.astype(np.float32)
    return state


def to_params(state):
    params = {}
    for name in discriminator.variable_shapes():
        conv, leaf = name.split("/")[1:]
        if leaf == "u":
            params[name] = state[f"{conv}.weight_u"][None]
        elif leaf == "bias":
            params[name] = state[f"{conv}.bias"]
        else:
            kernel = state.get(f"{conv}.weight_orig", state.get(f"{conv}.weight"))
            params[name] = kernel.transpose(2, 3, 1, 0)
    return params
