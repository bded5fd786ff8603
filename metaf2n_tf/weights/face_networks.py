"""Published face networks from their own `.pth` files: GPEN, RetinaFace, ASFFNet, KDFSRNet (or our own of it)."""

import math
import re
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import asffnet, gpen, kdfsrnet, retinaface
from metaf2n_tf.weights import pth, tf1_checkpoint
from metaf2n_tf.weights.check import check_variables


def load_gpen(path: str | Path) -> dict[str, np.ndarray]:
    """GPEN's params from `GPEN-BFR-256.pth`, `-512`, `-1024` or `-2048`, whose size is read off the file.

    Raises:
      UserError: nothing there, a damaged file, or not GPEN's variables.
    """
    found = pth.read_state_dict(Path(path))
    stages = gpen.count_stages(found)
    widths = [f"ecd{index}.0.{2 if index else 1}.bias" for index in reversed(range(stages))]
    missing = [name for name in ("generator.input.input", *widths) if name not in found]
    if missing:
        raise UserError(f"{path}: variable {missing[0]} is missing, so this is not GPEN's generator")
    return check_variables(str(path), found, gpen.variable_shapes([found[name].size for name in widths]))


def load_retinaface(path: str | Path) -> dict[str, np.ndarray]:
    """RetinaFace's params from `RetinaFace-R50.pth`.

    Raises:
      UserError: nothing there, a damaged file, or not this network's variables.
    """
    return check_variables(str(path), pth.read_state_dict(Path(path)), retinaface.variable_shapes())


# `model/net1.py`, for which the FFHQ files are, holds the same convolutions in modules of its own instead of sequences.
_RESIZER = re.compile(r"(down|up)([1-4])\.(?:\w+\.)+(weight|bias)")


def _load_kdfsrnet(path: str | Path, what: kdfsrnet.Architecture) -> dict[str, np.ndarray]:
    prefix = tf1_checkpoint.resolve_prefix(Path(path))
    if prefix is None and Path(path).is_dir():
        raise UserError(f"{path}: no checkpoint in this folder")
    found = pth.read_state_dict(Path(path)) if prefix is None else tf1_checkpoint.read_checkpoint(prefix)
    place = {"down": "1", "up": "0"}
    found = {
        _RESIZER.sub(lambda match: f"{match[1]}{match[2]}.{place[match[1]]}.{match[3]}", name): value
        for name, value in found.items()
    }
    first = found.get("head.0.weight")
    if first is None or first.ndim != 4:
        raise UserError(f"{path}: variable head.0.weight is missing or no kernel, so this is not KDFSRNet")
    architecture = kdfsrnet.architecture_of(found)
    if architecture.channels != what.channels:
        names = {kdfsrnet.STUDENT.channels: "student", kdfsrnet.TEACHER.channels: "teacher"}
        here, wanted = (names.get(one.channels, "another network") for one in (architecture, what))
        raise UserError(f"{path}: is KDFSRNet's {here} ({architecture.channels} channels in), expected its {wanted}")
    return check_variables(str(path), found, kdfsrnet.variable_shapes(architecture))


def load_kdfsrnet(path: str | Path) -> dict[str, np.ndarray]:
    """The params of KDFSRNet's student, whose width and blocks are read off the file.

    Args:
      path: a published file like `CelebA_x8.pth` or `FFHQ_x8.pth`, or a checkpoint of `scripts/train_kdfsrnet.py`: its
        folder, for the newest one, or its prefix.

    Raises:
      UserError: nothing there, a damaged file, not this network's variables, or the teacher's.
    """
    return _load_kdfsrnet(path, kdfsrnet.STUDENT)


def load_kdfsrnet_teacher(path: str | Path) -> dict[str, np.ndarray]:
    """The same of KDFSRNet's teacher, which takes six channels."""
    return _load_kdfsrnet(path, kdfsrnet.TEACHER)


def load_asffnet(path: str | Path) -> dict[str, np.ndarray]:
    """ASFFNet's params from `ASFFNet512.pth`, whose width is read off the file.

    Kernels with spectral normalization are divided by sigma = u W v of the stored vectors, as PyTorch evaluates them.

    Raises:
      UserError: nothing there, a damaged file, not ASFFNet's variables, or a sigma that is 0 or not finite.
    """
    found = pth.read_state_dict(Path(path))
    first = "LQ_Model.conv1.0.bias"
    if first not in found:
        raise UserError(f"{path}: variable {first} is missing, so this is not ASFFNet")
    shapes = asffnet.variable_shapes(found[first].size)
    stored = {}
    for name, shape in shapes.items():
        if f"{name}_orig" in found:
            vectors = {f"{name}_u": shape[-1:], f"{name}_v": (math.prod(shape[:-1]),)}
            stored |= {f"{name}_orig": shape} | vectors
        else:
            stored[name] = shape
    checked = check_variables(str(path), found, stored)

    def fold(name: str) -> np.ndarray:
        if name in checked:
            return checked[name]
        kernel, u, v = (checked[f"{name}_{part}"] for part in ("orig", "u", "v"))
        matrix = kernel.transpose(3, 2, 0, 1).reshape(len(u), -1)  # PyTorch's order, for which v is
        with np.errstate(over="ignore"):
            sigma = np.float32(u.astype(np.float64) @ matrix @ v.astype(np.float64))
        if sigma == 0 or not np.isfinite(sigma):
            raise UserError(f"{path}: variable {name} cannot be used: its spectral norm is {sigma}")
        return kernel / sigma

    return {name: fold(name) for name in shapes}
