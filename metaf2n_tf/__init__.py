"""MetaF2N in TensorFlow 2: blind x4 super-resolution by fine-tuning on the faces in a photo (Yin et al., ICCV 2023).

from metaf2n_tf import FaceFinder, MetaF2N, Measurer, load_weights
"""

import importlib
import os
from typing import TYPE_CHECKING

# OpenCV reads these when it is loaded: the limit of a picture's size is ours (data/size.py), and so is what is said.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**40))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

__version__ = "0.2.0"

if TYPE_CHECKING:
    from metaf2n_tf.faces.finder import FaceFinder as FaceFinder
    from metaf2n_tf.metrics.measure import Measurer as Measurer
    from metaf2n_tf.upscale.model import MetaF2N as MetaF2N
    from metaf2n_tf.weights.load import load_weights as load_weights

_EXPORTS = {
    "FaceFinder": "metaf2n_tf.faces.finder",
    "Measurer": "metaf2n_tf.metrics.measure",
    "MetaF2N": "metaf2n_tf.upscale.model",
    "load_weights": "metaf2n_tf.weights.load",
}
__all__ = ["FaceFinder", "Measurer", "MetaF2N", "load_weights"]


def __getattr__(name: str) -> object:
    """Import what is exported when it is first asked for, as TensorFlow takes seconds."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
