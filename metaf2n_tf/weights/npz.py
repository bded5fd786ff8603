"""Our own weight file: an uncompressed `.npz` whose entries are the published variable names."""

import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError, one_line
from metaf2n_tf.weights.check import check_size, open_zip, to_half

_KINDS = "fiubU"  # numbers, and what names things
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes; others take memory of their own


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One entry. Its header is believed only where the bytes behind it are as many as it says."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, is_fortran, dtype = readers[version](stream)
        if dtype.kind not in _KINDS or min(shape, default=0) < 0:
            raise ValueError(f"an array of {dtype}")
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            raise ValueError("an array is not as long as its header says")
        content = stream.read(size)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read `{name: array}` of numbers and texts as they are stored.

    Raises:
      UserError: no such file, another kind of file, truncated, or one that asks for more memory than its size warrants.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        size = path.stat().st_size
        with open_zip(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header may be no text that Python likes
            members = archive.infolist()
            if any(member.compress_type not in _COMPRESSIONS for member in members):
                raise ValueError("compressed as NumPy does not")
            check_size(sum(member.file_size for member in members), size)
            return {member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # NumPy hands headers to Python's own parser, which raises anything
        raise UserError(
            f"{path}: not a readable .npz file: truncated, or another kind. Remedy: fetch it again"
        ) from error


def read_npz(path: Path, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Read `{variable name: array of this dtype}`; narrower entries are widened.

    Raises:
      UserError: as for `read_arrays`, or an entry that is no array of numbers.
    """
    arrays = read_arrays(path)
    for name, value in arrays.items():
        if value.dtype.kind == "U":
            raise UserError(f"{path}: variable {one_line(name)} is a text, expected numbers")
    try:
        check_size(sum(value.size * np.dtype(dtype).itemsize for value in arrays.values()), path.stat().st_size)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    with np.errstate(over="ignore"):  # what becomes infinite is said where variables are checked
        return {name: value.astype(dtype) for name, value in arrays.items()}


def write_npz(path: Path, params: Mapping[str, np.ndarray], half: bool = False) -> None:
    """Write `{variable name: array}`; arrays that float16 holds exactly are stored so, at half the size.

    With `half` all are, rounded.

    Raises:
      UserError: a value is too large for float16, or the file cannot be written.
    """
    stream = io.BytesIO()
    arrays = {}
    for name, value in params.items():
        with np.errstate(over="ignore"):
            narrow = np.asarray(value).astype(np.float16)
        exact = np.array_equal(narrow.astype(np.float32), value)
        arrays[name] = narrow if exact else to_half(path, name, value) if half else value
    np.savez(stream, **arrays)
    files.write_bytes(path, stream.getvalue())
