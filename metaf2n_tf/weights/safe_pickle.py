"""Pickles of weight files, read without running anything that a file may carry."""

import contextlib
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from metaf2n_tf.errors import UserError

# What the unpickler, zipfile and our own checks raise on files that are cut, damaged, or of another kind.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
    ArithmeticError,
    RuntimeError,
    zlib.error,
)


class Unpickler(pickle.Unpickler):
    """Loads plain containers and what `admitted` gives for `(module, name)`; every other name is refused."""

    def __init__(self, stream: io.BufferedIOBase, admitted: Mapping[tuple[str, str], object]):
        super().__init__(stream, encoding="latin1")
        self._admitted = admitted

    def find_class(self, module: str, name: str) -> object:
        """What stands for a name that the pickle asks for.

        Raises:
          UserError: the name is not admitted.
        """
        try:
            return self._admitted[module, name]
        except KeyError:
            raise UserError(f"it asks to load {module}.{name}, and only tensors and containers are admitted") from None


@contextlib.contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file of some kind is read into one line that names it.

    Raises:
      UserError: no such file, unreadable, another kind of file, truncated, or a name that is not admitted.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        detail = f" ({reason})" if reason else ""
        raise UserError(
            f"{path}: not a readable {kind}: truncated, damaged or of another kind{detail}. Remedy: download it again"
        ) from error
