"""Reads and writes `.safetensors`: the length of a JSON header, the header, and the numbers one array after another.

https://github.com/huggingface/safetensors; no package is needed for it. Names and layout are PyTorch's.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.weights.check import LARGEST, check_size
from metaf2n_tf.weights.safe_pickle import reading

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
_LONGEST_HEADER = 1 << 20  # RRDBNet's has 80 kB
_LENGTH = 8  # bytes, in front of the header
_METADATA = "__metadata__"


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number < 1 << 62


def _array(name: str, entry: object, numbers: memoryview) -> tuple[tuple[int, int], np.ndarray]:
    """Where in the numbers an array lies, and the array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} is described as nothing that is known")
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise UserError(f"variable {name} is {kind}, expected one of {', '.join(_DTYPES)}")
    if not (isinstance(shape, list) and isinstance(place, list) and len(place) == 2):
        raise ValueError(f"{name} has no shape or no place")
    if not all(map(_is_count, [*shape, *place])):
        raise ValueError(f"something else stands where a number of {name} belongs")
    dtype, (start, stop) = np.dtype(_DTYPES[kind]), place
    if stop - start != math.prod(shape) * dtype.itemsize or stop > len(numbers):
        raise ValueError(f"{name} is not as long as the header says")
    return (start, stop), np.frombuffer(numbers[start:stop], dtype).reshape(shape)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read `{name: array}` in the arrays' own dtypes and layout.

    Raises:
      UserError: no such file, another kind of file, truncated, numbers that belong to two arrays or to none, or arrays
        that are no floating point ones.
    """
    with reading(path, ".safetensors file"):
        size = path.stat().st_size
        check_size(size, size)
        content = memoryview(files.read_whole(path, LARGEST))
        length = int.from_bytes(content[:_LENGTH], "little")
        if length > min(_LONGEST_HEADER, len(content) - _LENGTH):
            raise ValueError("its header is longer than it is, or than that of any network")
        header = json.loads(bytes(content[_LENGTH : _LENGTH + length]))
        if not isinstance(header, dict):
            raise ValueError("its header is none")
        numbers = content[_LENGTH + length :]
        found = {name: _array(name, entry, numbers) for name, entry in header.items() if name != _METADATA}
        end = 0
        for start, stop in sorted(place for place, _ in found.values()):
            if start != end:
                raise ValueError("its arrays overlap, or leave holes")
            end = stop
        if end != len(numbers):
            raise ValueError("it is longer than its arrays")
        return {name: array for name, (_, array) in found.items()}


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `{name: array}`, C-contiguous ones of a dtype that is read.

    Raises:
      UserError: the file cannot be written.
    """
    kinds = {np.dtype(dtype): kind for kind, dtype in _DTYPES.items()}
    header: dict[str, object] = {_METADATA: {"format": "pt"}}
    end = 0
    for name, value in arrays.items():
        start, end = end, end + value.nbytes
        header[name] = {"dtype": kinds[value.dtype], "shape": value.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)  # so that the numbers are aligned
    numbers = b"".join(value.tobytes() for value in arrays.values())
    files.write_bytes(path, len(text).to_bytes(_LENGTH, "little") + text + numbers)
