"""What a weight file holds against what a network needs, variable by variable."""

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from metaf2n_tf import places
from metaf2n_tf.errors import UserError

LARGEST = 2 << 30  # of any weight file; a file with holes may claim any size at no cost
_ALWAYS = 64 << 20
_TIMES = 4
_LONGEST_LIST = 2 << 20  # of the parts of a zip file; RRDBNet has 100 kB


def check_size(asked: int, size: int) -> None:
    """Raise a UserError where a file of `size` bytes asks for memory out of all proportion, before it is taken.

    Numbers may be in a file once and be used several times, but not any number of times.
    """
    if asked > max(_ALWAYS, _TIMES * min(size, LARGEST)) or size > LARGEST:
        raise UserError(f"its {size} bytes ask for {asked} bytes of memory, as no weights do")


class _Stream(io.FileIO):
    """A zip file, of which only so much is read at once."""

    most = _LONGEST_LIST

    def read(self, size: int = -1) -> bytes:
        """As `FileIO`; a BadZipFile for more than `most`."""
        if size > self.most:
            raise zipfile.BadZipFile("its list of parts is too long")
        return super().read(size)


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file to read, whose list of parts is no longer than weights need: each part in it takes 500 bytes.

    Raises:
      OSError, or what `zipfile` raises.
    """
    with _Stream(path) as stream, zipfile.ZipFile(stream) as archive:
        stream.most = LARGEST
        yield archive


def check_downloaded(path: str | Path, name: str) -> Path:
    """Where a file is that `scripts/download_weights.py NAME` fetches; see `places.find`.

    Raises:
      UserError: it is not there.
    """
    path = places.find(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file. Remedy: {places.command('weights')} {name}")
    return path


def check_variables(
    source: str, found: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Take a network's variables out of a file's, as float32; others are left out.

    Args:
      source: the file, for messages.
      found: `{name: array}` of the file.
      shapes: `{name: shape}` of the network.

    Raises:
      UserError: a variable is missing, of another shape, not floating point, or not finite.
    """
    for name, shape in shapes.items():
        if name not in found:
            raise UserError(f"{source}: variable {name} is missing")
        if found[name].shape != shape:
            raise UserError(f"{source}: variable {name} has shape {found[name].shape}, expected {shape}")
        if not (np.issubdtype(found[name].dtype, np.floating) or found[name].dtype == ml_dtypes.bfloat16):
            raise UserError(f"{source}: variable {name} is {found[name].dtype}, expected floating point")
        with np.errstate(over="ignore"):
            finite = np.isfinite(found[name].astype(np.float32)).all()
        if not finite:
            raise UserError(f"{source}: variable {name} holds values that are not finite")
    return {name: np.asarray(found[name], np.float32) for name in shapes}


def to_half(path: Path, name: str, value: np.ndarray) -> np.ndarray:
    """A variable that is to be written to a file, rounded to float16.

    Raises:
      UserError: it holds values that are too large.
    """
    with np.errstate(over="ignore"):
        narrow = np.asarray(value).astype(np.float16)
    if not np.isfinite(narrow).all():
        raise UserError(f"{path}: variable {name} holds values that are too large for half precision")
    return narrow
