"""Files that are either whole or absent: written beside their place, then renamed into it."""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from metaf2n_tf.errors import Argument, CannotWriteError, UserError

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
_LONGEST_NAME = 255  # bytes, of every usual file system
# What the name of one file is to blame for; anything else that hinders writing hinders every other file, too.
_OF_A_NAME = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


@contextlib.contextmanager
def _writing(path: Path, what: str = "cannot be written") -> Iterator[None]:
    """Turn what the system says into a line: a `CannotWriteError` unless the name alone is to blame."""
    try:
        yield
    except OSError as error:
        kind = UserError if error.errno in _OF_A_NAME else CannotWriteError
        raise kind(f"{path}: {what}: {error.strerror}") from None


def real(path: Path) -> Path:
    """The place that a path leads to, links followed as far as they lead; those in a circle are no error."""
    return Path(os.path.realpath(path))


def size_and_time(path: str | Path) -> tuple[int, int]:
    """Bytes of a file and when it was written, in nanoseconds; -1 each where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read; a pipe or a device, which may have no end or keep one waiting, is refused.

    Raises:
      OSError: it cannot be opened, or is none.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no file", str(path))
    return os.fdopen(descriptor, "rb")


def check_length(path: Path, most: int) -> None:
    """Raise an OSError where a file is longer than that; where it has holes, its length has cost nobody a disk."""
    if (size := path.stat().st_size) > most:
        raise OSError(errno.EFBIG, f"{size} bytes are more than such a file has", str(path))


def read_whole(path: Path, most: int) -> bytes:
    """The content of a file of at most so many bytes; of what is longer nothing is read.

    Raises:
      OSError: it cannot be read, is longer, or is no file but a pipe or a device.
    """
    check_length(path, most)
    with open_regular(path) as stream:
        return stream.read(os.fstat(stream.fileno()).st_size)


def are_one(folder: Path, name: Path, other: Path) -> bool:
    """Whether two names are one in a folder, or where it is going to be: some systems fold case, or Unicode's forms.

    Raises:
      UserError: it cannot be written to.
    """
    place = next(above for above in (folder, *folder.absolute().parents) if above.is_dir())
    with _writing(place), tempfile.TemporaryDirectory(prefix=".names", dir=place) as probe:
        file = Path(probe, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return Path(probe, other).exists()


def fitting(path: Path, reserve: int = 0) -> Path:
    """The path, its name cut, with a checksum of the whole in place of the rest, where the system takes no longer one.

    For files of our own making; a photo's results are called as the photo is.

    Args:
      reserve: bytes that the name may still grow by.
    """
    name, longest = os.fsencode(path.name), _LONGEST_NAME - reserve
    if len(name) <= longest:
        return path
    end = f".{zlib.crc32(name):08x}{path.suffix}"
    return path.with_name(os.fsdecode(name[: longest - len(end)]) + end)


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it, that files are to be written into.

    Raises:
      UserError: it cannot be made, or written to; a `CannotWriteError` unless its name is to blame.
    """
    with _writing(folder, "cannot make this folder"):
        folder.mkdir(parents=True, exist_ok=True)
    with _writing(folder, "cannot be written to"):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises:
      UserError: as `write_bytes`.
    """
    with _writing(path, "cannot be removed"):
        path.unlink(missing_ok=True)


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


def read_lines(path: Path, argument: str = "") -> list[str]:
    """The lines of a text file in UTF-8, with or without a byte order mark.

    Args:
      argument: whose value the path is, for messages; empty: nobody's.

    Raises:
      UserError: it cannot be read, or is no text.
    """
    named = Argument(argument, path) if argument else str(path)
    try:
        return path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(named, f": cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(named, ": not a text file in UTF-8") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole.

    Raises:
      CannotWriteError: the disk is full, or the place cannot be written to.
      UserError: its name cannot be that of a file there.
    """
    with _writing(path), replacing(path) as part:
        part.write_bytes(content)


def write_pair(first: Path, first_content: bytes, second: Path, second_content: bytes) -> None:
    """Write two files that are of no use without each other.

    A first file that is there already goes before the second changes, and the new one comes last: killed at any time,
    this leaves no first file beside another one's second.

    Raises:
      UserError: as `write_bytes`.
    """
    with _writing(first), replacing(first) as first_part, _writing(second), replacing(second) as second_part:
        first_part.write_bytes(first_content)
        second_part.write_bytes(second_content)
        if second.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        first.unlink(missing_ok=True)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the lock ends with the process, however that ends.

    Raises:
      UserError: another run has it, or it cannot be opened.
    """
    with _writing(folder, "cannot be opened"):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another run is writing there") from None
        except OSError as error:  # some network file systems
            logger.warning(f"{folder}: cannot be locked ({error.strerror}), so do not start another run there")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing_folder(folder: Path, entries: Sequence[str]) -> Iterator[Path]:
    """Yield a hidden folder beside `folder` to write to; when the block ends well it becomes `folder`, else it goes.

    Args:
      folder: may be there already, if it is empty, or is one of this kind; it is moved away and deleted then.
      entries: what folders of this kind hold, and nothing else; all of them the first of these.

    Raises:
      UserError: it holds something else, or is a file; another run writes it; or as `write_bytes`.
    """
    folder = real(folder)
    number = f"{zlib.crc32(os.fsencode(folder.name)):08x}"
    part, before = (folder.with_name(f".{number}.{state}") for state in ("part", "before"))
    with _writing(folder):
        there = os.listdir(folder) if folder.is_dir() else [] if not folder.exists() else [folder.name]
        if there and (entries[0] not in there or not set(there) <= set(entries)):
            raise UserError(f"{folder}: is there already, and holds something else. Remedy: another name")
        part.mkdir(exist_ok=True)
        with alone_in(part):
            try:
                for old in (before, *part.iterdir()):  # of runs that were killed
                    shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
                yield part
                for file in filter(Path.is_file, part.rglob("*")):
                    with file.open("rb") as stream:
                        os.fsync(stream.fileno())
                if folder.exists():
                    folder.rename(before)
                part.rename(folder)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
            if before.exists():
                shutil.rmtree(before)


def crc32_of(path: Path) -> int:
    """Checksum that tells whether a file is the one that was used before; raises as `open_regular`."""
    crc = 0
    with open_regular(path) as stream:
        while block := stream.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def sha256_of(path: Path) -> str:
    """Hex digest of a file; raises as `open_regular`."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
