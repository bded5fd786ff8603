"""Writes PyTorch's zip files without PyTorch, so that tests can make weight files of any network.

`tests/golden/pth` holds files that PyTorch itself wrote.
"""

import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np

_torch, _utils = types.ModuleType("torch"), types.ModuleType("torch._utils")


class FloatStorage:
    def __init__(self, key, values):
        self.key, self.values = key, values


class LongStorage(FloatStorage):
    pass


def _rebuild_tensor_v2():
    raise AssertionError("only its name is written")


for owner, thing in ((_torch, FloatStorage), (_torch, LongStorage), (_utils, _rebuild_tensor_v2)):
    thing.__module__ = owner.__name__
    setattr(owner, thing.__name__, thing)


class _Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, shape

    def __reduce__(self):
        strides = tuple(int(np.prod(self.shape[axis + 1 :])) for axis in range(len(self.shape)))
        arguments = (self.storage, 0, self.shape, strides, False, collections.OrderedDict())
        return _utils._rebuild_tensor_v2, arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, FloatStorage):
            return "storage", type(value), value.key, "cpu", value.values.size
        return None


def write_pth(path, content):
    """What torch.save(content, path) writes; arrays of float32 and int64, in nested dicts, become tensors."""
    storages = []

    def to_tensors(value):
        if isinstance(value, dict):
            return {name: to_tensors(item) for name, item in value.items()}
        if isinstance(value, np.ndarray):
            kind = LongStorage if value.dtype == np.int64 else FloatStorage
            storages.append(kind(str(len(storages)), np.ascontiguousarray(value)))
            return _Tensor(storages[-1], value.shape)
        return value

    content, stream = to_tensors(content), io.BytesIO()
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": _torch, "torch._utils": _utils})
    try:
        _Pickler(stream, protocol=2).dump(content)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/byteorder", "little")
        for storage in storages:
            archive.writestr(f"archive/data/{storage.key}", storage.values.tobytes())
