"""Reads PyTorch's `.pth` files without PyTorch, and without running anything that a file may carry.

Both layouts are known: the zip archive (PyTorch >= 1.6) and the legacy stream of pickles. The unpickler admits
tensors, parameters and plain containers; every other name in a file is refused.
"""

import collections
import io
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights.safe_pickle import Unpickler, reading

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class _Storage:
    """A run of numbers that tensors are views of; the legacy layout fills it in only after the pickles."""

    def __init__(self, dtype: np.dtype, size: int):
        self.dtype, self.size, self.data = np.dtype(dtype), size, None


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

    def numpy(self) -> np.ndarray:
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= self.storage.data.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = [stride * self.storage.dtype.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(self.storage.data[self.offset :], self.shape, strides).copy()


def _rebuild_tensor(storage, offset, shape, strides, *_ignored):
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *_ignored):
    return tensor


_ADMITTED = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class _Unpickler(Unpickler):
    def __init__(self, stream: io.BufferedIOBase, load_storage):
        super().__init__(stream, _ADMITTED)
        self._load_storage = load_storage

    def persistent_load(self, pid):
        kind, dtype, key, _location, size, *view = pid
        if kind != "storage" or any(view):
            raise ValueError(f"unknown persistent id {kind!r}")
        return self._load_storage(dtype, str(key), size)


def _read_zip(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise UserError("it is a zip file without a data.pkl, so not one that PyTorch saved")
        root = names[0].removesuffix("data.pkl")
        if root + "byteorder" in archive.namelist() and archive.read(root + "byteorder") != b"little":
            raise UserError("it was saved on a big-endian machine")
        storages = {}

        def load_storage(dtype, key, size):
            if key not in storages:
                storages[key] = _Storage(dtype, size)
                storages[key].data = np.frombuffer(archive.read(f"{root}data/{key}"), dtype)
                if storages[key].data.size < size:
                    raise EOFError("a storage is shorter than announced")
            return storages[key]

        return _Unpickler(io.BytesIO(archive.read(names[0])), load_storage).load()


def _read_legacy(path: Path) -> object:
    storages = {}

    def load_storage(dtype, key, size):
        return storages.setdefault(key, _Storage(dtype, size))

    with path.open("rb") as stream:

        def unpickle():
            return _Unpickler(stream, load_storage).load()

        if unpickle() != _LEGACY_MAGIC or unpickle() != _LEGACY_PROTOCOL:
            raise pickle.UnpicklingError
        if not unpickle()["little_endian"]:
            raise UserError("it was saved on a big-endian machine")
        content = unpickle()
        for key in unpickle():
            storage = storages[str(key)]
            (size,) = struct.unpack("<q", stream.read(8))
            data = stream.read(size * storage.dtype.itemsize)
            storage.data = np.frombuffer(data, storage.dtype)
            if storage.data.size != size:
                raise EOFError("a storage is shorter than announced")
    return content


def _to_numpy(value: object) -> object:
    if isinstance(value, _Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {key: _to_numpy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_numpy(item) for item in value)
    return value


def read_pth(path: Path) -> object:
    """Read what `torch.save` wrote.

    Args:
      path: a `.pth` file, zip or legacy layout.

    Returns:
      The saved object, usually a (nested) dict, with tensors as NumPy arrays in their own dtype and layout.

    Raises:
      UserError: no such file, another kind of file, truncated, or a pickle that asks for more than tensors.
    """
    with reading(path, "PyTorch file"):
        return _to_numpy(_read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path))


# What training scripts wrap a network's state dict in, the averaged weights first.
_WRAPPERS = ("params_ema", "params", "g_ema", "state_dict")

_TF_AXES = {2: (1, 0), 4: (2, 3, 1, 0)}


def to_tf_layout(value: np.ndarray) -> np.ndarray:
    """PyTorch's (out, in, height, width) to HWIO, (out, in) to (in, out); StyleGAN2's leading axis of 1 is dropped."""
    if value.ndim == 5 and value.shape[0] == 1:
        value = value[0]
    return value.transpose(_TF_AXES.get(value.ndim, range(value.ndim)))


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a network's weights, `{name: array}`, in TensorFlow's layout.

    Args:
      path: a `.pth` file that holds a state dict, bare or under `params_ema`, `params`, `g_ema` or `state_dict`. The
        prefix `module.` that DataParallel adds is taken off; entries that are no tensors are left out.

    Raises:
      UserError: as for `read_pth`, or no tensors in it.
    """
    content = read_pth(path)
    if isinstance(content, dict):
        wrapped = [content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)]
        content = wrapped[0] if wrapped else content
        tensors = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
        if tensors and all(isinstance(name, str) for name in tensors):
            return {name.removeprefix("module."): to_tf_layout(value) for name, value in tensors.items()}
    raise UserError(f"{path}: holds no dict of tensors, bare or under {', '.join(_WRAPPERS)}")
