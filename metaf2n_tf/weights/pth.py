"""Reads and writes PyTorch's `.pth` files without PyTorch, and without running anything that a file may carry.

Both layouts are read: the zip archive (PyTorch >= 1.6) and the legacy stream of pickles. Tensors, parameters and plain
containers are admitted; every other name in a file is refused. What is written is the zip archive.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import safe_pickle
from metaf2n_tf.weights.check import LARGEST, check_size, open_zip
from metaf2n_tf.weights.safe_pickle import reading, whole

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

    __slots__ = ("data", "dtype", "size")

    def __init__(self, dtype: np.dtype, size: int):
        self.dtype, self.size = dtype, size
        self.data: np.ndarray | None = None

    def fill(self, content: bytes, start: int = 0) -> None:
        """Take the numbers, from a place in a file's bytes on."""
        self.data = np.frombuffer(content, self.dtype, self.size, start)


class _Tensor:
    """A view of a storage, all numbers checked to be plain ones."""

    __slots__ = ("offset", "shape", "storage", "strides")

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        if not (isinstance(storage, _Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
            raise ValueError("a tensor is made of something else than a storage")
        self.storage, self.offset = storage, whole(offset)
        self.shape, self.strides = tuple(map(whole, shape)), tuple(map(whole, strides))

    @property
    def bytes(self) -> int:
        """What its numbers take, each by itself."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def numpy(self) -> np.ndarray:
        """A copy of its own. Raises a ValueError where it reaches beyond its storage."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        data = self.storage.data
        if data is None:
            raise ValueError("a tensor of a storage that is not there")
        if 0 in self.shape:
            return np.zeros(self.shape, data.dtype)
        if last >= data.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = [stride * data.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides).copy()


def _rebuild_tensor(storage, offset, shape, strides, *_ignored):
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *_ignored):
    return tensor


def _ordered_dict():
    return {}


_ADMITTED = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): _ordered_dict,
    **{("torch", name): np.dtype(dtype) for name, dtype in _DTYPES.items()},
}


class _Storages(dict):
    """`{key: storage}` of those that the pickles refer to by persistent ids; `found` is told of each new one."""

    def __init__(self, found: Callable[[str, _Storage], None] = lambda key, storage: None):
        super().__init__()
        self._found = found

    def of(self, pid: Any) -> _Storage:
        """The storage of a persistent id."""
        kind, dtype, key, _location, size, *view = pid
        if not (kind == "storage" and isinstance(dtype, np.dtype) and isinstance(key, str)) or any(view):
            raise ValueError("unknown persistent id")
        if key not in self:
            self[key] = _Storage(dtype, whole(size))
            self._found(key, self[key])
        if self[key].dtype != dtype or self[key].size != size:
            raise ValueError("a storage of two kinds")
        return self[key]


def _read_zip(path: Path) -> object:
    left = path.stat().st_size
    with open_zip(path) as archive:

        def read(name: str) -> bytes:
            nonlocal left
            member = archive.getinfo(name)
            if member.compress_type != zipfile.ZIP_STORED:
                raise UserError("its parts are compressed, which those of PyTorch are not")
            left -= member.file_size
            if left < 0:
                raise ValueError("its parts are longer than it is")
            with archive.open(member) as stream:
                return stream.read(member.file_size)

        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise UserError("it is a zip file without a data.pkl, so not one that PyTorch saved")
        root = names[0].removesuffix("data.pkl")
        if root + "byteorder" in archive.namelist() and read(root + "byteorder") != b"little":
            raise UserError("it was saved on a big-endian machine")
        storages = _Storages(lambda key, storage: storage.fill(read(f"{root}data/{key}")))
        return safe_pickle.load(io.BytesIO(read(names[0])), _ADMITTED, storages.of)


def _read_legacy(path: Path) -> object:
    with files.open_regular(path) as start:  # of another kind of file, no more is read
        if safe_pickle.load(io.BytesIO(start.read(64)), {}) != _LEGACY_MAGIC:
            raise pickle.UnpicklingError
    storages, file = _Storages(), files.read_whole(path, LARGEST)
    stream = io.BytesIO(file)

    def unpickle() -> Any:
        return safe_pickle.load(stream, _ADMITTED, storages.of)

    if unpickle() != _LEGACY_MAGIC or unpickle() != _LEGACY_PROTOCOL:
        raise pickle.UnpicklingError
    if not unpickle()["little_endian"]:
        raise UserError("it was saved on a big-endian machine")
    content = unpickle()
    for key in unpickle():
        storage = storages[key]
        (size,) = struct.unpack("<q", stream.read(8))
        if size != storage.size:
            raise ValueError("a storage is not as long as announced")
        storage.fill(file, stream.tell())
        stream.seek(storage.data.nbytes, io.SEEK_CUR)
    return content


def _to_numpy(content: object, file_size: int) -> object:
    """The content with tensors as arrays; what is in several places is made once."""
    made, asked = {}, 0

    def convert(value: object) -> object:
        if not isinstance(value, _Tensor | dict | list | tuple):
            return value
        if id(value) not in made:
            made[id(value)] = made  # until it is made
            made[id(value)] = make(value)
        if made[id(value)] is made:
            raise ValueError("a container that is in itself")
        return made[id(value)]

    def make(value: _Tensor | dict | list | tuple) -> object:
        nonlocal asked
        if isinstance(value, dict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)([convert(item) for item in value])
        asked += value.bytes
        check_size(asked, file_size)
        return value.numpy()

    return convert(content)


def read_pth(path: Path) -> object:
    """Read what `torch.save` wrote.

    Args:
      path: a `.pth` file, zip or legacy layout.

    Returns:
      The saved object, usually a (nested) dict, with tensors as NumPy arrays in their own dtype and layout.

    Raises:
      UserError: no such file, another kind of file, truncated, a pickle that asks for more than tensors, or for more
        memory than its size warrants.
    """
    with reading(path, "PyTorch file"):
        size = path.stat().st_size
        check_size(size, size)
        return _to_numpy(_read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path), size)


# What training scripts wrap a network's state dict in, the averaged weights first.
_WRAPPERS = ("params_ema", "params", "g_ema", "state_dict")

_TF_AXES = {2: (1, 0), 4: (2, 3, 1, 0)}
_TORCH_AXES = {2: (1, 0), 4: (3, 2, 0, 1)}


def to_tf_layout(value: np.ndarray) -> np.ndarray:
    """PyTorch's (out, in, height, width) to HWIO, (out, in) to (in, out); StyleGAN2's leading axis of 1 is dropped."""
    if value.ndim == 5 and value.shape[0] == 1:
        value = value[0]
    return value.transpose(_TF_AXES.get(value.ndim, range(value.ndim)))


def to_torch_layout(value: np.ndarray) -> np.ndarray:
    """The inverse of `to_tf_layout`."""
    return np.ascontiguousarray(value.transpose(_TORCH_AXES.get(value.ndim, range(value.ndim))))


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


def _text(text: str) -> bytes:
    encoded = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def _numbers(numbers: Sequence[int]) -> bytes:
    return pickle.MARK + b"".join(pickle.BININT + struct.pack("<i", number) for number in numbers) + pickle.TUPLE


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _tensor(key: str, value: np.ndarray) -> bytes:
    """The pickle's call that makes a tensor of the storage of this key, as `torch.save` spells it."""
    kind = {np.float32: "FloatStorage", np.float16: "HalfStorage"}[value.dtype.type]
    size = pickle.BININT + struct.pack("<i", value.size)
    names = _text("storage") + _global("torch", kind) + _text(key) + _text("cpu")
    storage = pickle.MARK + names + size + pickle.TUPLE + pickle.BINPERSID
    strides = [stride // value.itemsize for stride in value.strides]
    hooks = _global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    view = pickle.BININT + struct.pack("<i", 0) + _numbers(value.shape) + _numbers(strides) + pickle.NEWFALSE + hooks
    return _global("torch._utils", "_rebuild_tensor_v2") + pickle.MARK + storage + view + pickle.TUPLE + pickle.REDUCE


def write_state_dict(path: Path, state: Mapping[str, np.ndarray], wrappers: Sequence[str]) -> None:
    """Write one state dict under several keys, as `torch.save({key: state, ...}, path)` does.

    Args:
      state: `{name: array}` of float32 or float16, C-contiguous, in PyTorch's layout.
      wrappers: the keys.

    Raises:
      UserError: the file cannot be written.
    """
    items = [_text(name) + _tensor(str(key), value) for key, (name, value) in enumerate(state.items())]
    inner = pickle.EMPTY_DICT + pickle.BINPUT + b"\0" + pickle.MARK + b"".join(items) + pickle.SETITEMS
    places = [_text(wrapper) + (pickle.BINGET + b"\0" if number else inner) for number, wrapper in enumerate(wrappers)]
    outer = pickle.EMPTY_DICT + pickle.MARK + b"".join(places) + pickle.SETITEMS
    parts = {"data.pkl": pickle.PROTO + b"\2" + outer + pickle.STOP, "byteorder": b"little"}
    parts |= {f"data/{key}": value.tobytes() for key, value in enumerate(state.values())}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in (parts | {"version": b"3\n"}).items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    files.write_bytes(path, stream.getvalue())
