"""Published face networks from their own `.pth` files: GPEN and RetinaFace."""

from pathlib import Path

import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import gpen, retinaface
from metaf2n_tf.weights import pth
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
