"""Files that are either whole or absent: written beside their place, then renamed into it."""

import contextlib
import fcntl
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from metaf2n_tf.cli import say
from metaf2n_tf.errors import UserError

_BLOCK = 1 << 20


def make_folder(folder: Path) -> None:
    """Create a folder and those above it.

    Raises:
      UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder: {error.strerror}") from None


def _open_alone(part: Path) -> int:
    """Open a file that several may want to write, as soon as no other is at it; what a killed one left does not matter.

    The one before renames it or deletes it, so whoever has waited for it begins again with a new one.
    """
    while True:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(part), os.fstat(descriptor)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; when the block ends well it becomes `path`, else it goes.

    Of several writers of one path, in whatever threads and processes, each waits until the one before is done.
    """
    part = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.part")
    descriptor = _open_alone(part)
    try:
        yield part
        os.fsync(descriptor)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def read_lines(path: Path, flag: str = "") -> list[str]:
    """The lines of a text file in UTF-8, with or without a byte order mark.

    Args:
      flag: what stands before its name in messages.

    Raises:
      UserError: it cannot be read, or is no text.
    """
    try:
        return path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{flag}{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{flag}{path}: not a text file in UTF-8") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole.

    Raises:
      UserError: the disk is full, or the place cannot be written to.
    """
    try:
        with replacing(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the lock ends with the process, however that ends.

    Raises:
      UserError: another run has it, or it cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{folder}: cannot be opened: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another run is writing there") from None
        except OSError as error:  # some network file systems
            say(f"{folder}: cannot be locked ({error.strerror}), so do not start another run there")
        yield
    finally:
        os.close(descriptor)


def crc32_of(path: Path) -> int:
    """Checksum that tells whether a file is the one that was used before."""
    crc = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
