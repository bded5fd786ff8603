"""The FID's InceptionV3 from the file that pytorch-fid shares, `pt_inception-2015-12-05-6726825d.pth`."""

from pathlib import Path

import numpy as np

from metaf2n_tf.networks import inception
from metaf2n_tf.weights import pth
from metaf2n_tf.weights.check import check_downloaded, check_variables


def load_inception(path: str | Path) -> dict[str, np.ndarray]:
    """The params of `inception.pool3`, float32; the classifier `fc` is left out.

    Raises:
      UserError: nothing there, a damaged file, or not this network's variables.
    """
    path = check_downloaded(path, "inception-fid")
    return check_variables(str(path), pth.read_state_dict(path), inception.variable_shapes())
