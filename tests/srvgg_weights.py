"""Compact networks for tests: the published recipe, tiny ones, and the files that hold them."""

import json
import struct
from pathlib import Path

import numpy as np
import recipe

from metaf2n_tf.networks import context_srvgg, srvgg

GOLDEN = Path(__file__).parent / "golden" / "srvgg"


def draw_state_dict(shapes, seed, gain):
    """By the recipe, PReLU slopes (the one-dimensional weights) about 0.2; PyTorch's layout."""
    drawn = recipe.weights(shapes, seed, "torch", gain)
    return {
        name: value - np.float32(0.8) if name.endswith(".weight") and value.ndim == 1 else value
        for name, value in drawn.items()
    }


def golden_state_dict(file, seed, gain):
    return draw_state_dict(json.loads((GOLDEN / file).read_text()), seed, gain)


def to_params(state_dict):
    """Published PyTorch names and layout -> ours."""
    return {
        "MODEL/" + name.replace(".", "/"): value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        for name, value in state_dict.items()
    }


def to_state_dict(params):
    """Ours -> published PyTorch names and layout."""
    return {
        name.removeprefix("MODEL/").replace("/", "."): value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        for name, value in params.items()
    }


def make_tiny(num_conv=2, num_feat=8, seed=5):
    """A compact network whose output resembles its input enlarged; float16 holds its kernels exactly."""
    state_dict = draw_state_dict(
        {
            name.removeprefix("MODEL/").replace("/", "."): (shape[3], shape[2], 3, 3) if len(shape) == 4 else shape
            for name, shape in srvgg.variable_shapes(num_conv, num_feat).items()
        },
        seed,
        0.6,
    )
    return {
        name: value.astype(np.float16).astype(np.float32) if value.ndim == 4 else value
        for name, value in to_params(state_dict).items()
    }


def make_tiny_context(num_conv=8, num_feat=8, widths=(6, 7, 8)):
    """A compact network with a branch as it is drawn, which adds nothing yet."""
    return make_tiny(num_conv, num_feat) | context_srvgg.initial_branch(num_feat, widths)


def perturbed(params):
    """The branch has something to say."""
    name = f"{context_srvgg.SCOPE}/up0/weight"
    return params | {name: np.float32(0.1 * np.random.default_rng(1).standard_normal(params[name].shape))}


def write_ncnn(path, params):
    """`path` (.bin) and its .param, as ncnn writes them."""
    lines, blob = ["7767517", "3 3"], b""
    for name, value in params.items():
        if value.ndim == 4:
            lines.append(f"Convolution  {name} 1 1 a b 0={value.shape[3]} 1=3 4=1 5=1 6={value.size}")
            data = value.astype("<f2").transpose(3, 2, 0, 1).tobytes()
            blob += struct.pack("<I", 0x01306B47) + data + b"\0" * (-len(data) % 4)
        else:
            if name.endswith("weight"):
                lines.append(f"PReLU  {name} 1 1 b c 0={value.size}")
            blob += value.astype("<f4").tobytes()
    path.with_suffix(".param").write_text("\n".join(lines))
    path.write_bytes(blob)
