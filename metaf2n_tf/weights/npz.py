"""Our own weight file: an uncompressed `.npz` whose entries are the published variable names."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError

# What NumPy raises on files that are cut, damaged, or of another kind.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
)


def read_npz(path: Path, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Read `{variable name: array of this dtype}`; narrower entries are widened.

    Raises:
      UserError: no such file, another kind of file, or truncated.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].astype(dtype) for name in archive.files}
    except _DAMAGE as error:
        raise UserError(
            f"{path}: not a readable .npz file: truncated, or another kind. Remedy: fetch it again"
        ) from error


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
        if half and not np.isfinite(narrow).all():
            raise UserError(f"{path}: variable {name} holds values that are too large for half precision")
        arrays[name] = narrow if half or np.array_equal(narrow.astype(np.float32), value) else value
    np.savez(stream, **arrays)
    files.write_bytes(path, stream.getvalue())
