"""Weights drawn by a recipe, so that a parity test needs no weight files.

Each array depends on nothing but its name, its shape and the seed: any machine draws
the same numbers.  The reference outputs beside this file were computed by the published
implementation of each network with exactly these weights.
"""

import zlib

import numpy as np


def draw(name, shape, seed, layout="torch", gain=1.0):
    """One array of float32.

    layout  "torch": kernels are (out, in, ...), fan-in = prod(shape[1:])
            "tf":    kernels are (..., in, out), fan-in = prod(shape[:-1])
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    shape = tuple(int(n) for n in shape)
    leaf = name.replace("/", ".").rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        return (0.5 + rng.random(shape)).astype(np.float32)
    z = rng.standard_normal(shape)
    if leaf.endswith(("_u", "_v")):  # spectral norm: unit vectors
        return (z / np.linalg.norm(z)).astype(np.float32)
    if len(shape) >= 2:
        fan_in = np.prod(shape[1:] if layout == "torch" else shape[:-1])
        return (gain * z / np.sqrt(fan_in)).astype(np.float32)
    if leaf == "weight":  # batch norm scale, noise gain
        return (1.0 + 0.05 * z).astype(np.float32)
    return (0.05 * z).astype(np.float32)  # biases, running means


def weights(shapes, seed, layout="torch", gain=1.0):
    """{name: array} for {name: shape}."""
    return {name: draw(name, shape, seed, layout, gain) for name, shape in shapes.items()}


def image(shape, seed):
    """A smooth float32 test picture in [0, 1], NHWC or HWC: not noise, not flat."""
    rng = np.random.default_rng([seed, 77])
    *batch, h, w, c = shape
    n = int(np.prod(batch)) if batch else 1
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    out = np.zeros((n, h, w, c))
    for i in range(n):
        for k in range(c):
            for _ in range(6):
                fy, fx, p, a = rng.uniform(-9, 9), rng.uniform(-9, 9), rng.uniform(0, 7), rng.uniform(0.2, 1)
                out[i, :, :, k] += a * np.sin(2 * np.pi * (fy * y + fx * x) + p)
    out -= out.min(axis=(1, 2, 3), keepdims=True)
    out /= out.max(axis=(1, 2, 3), keepdims=True)
    return out.reshape(shape).astype(np.float32)
