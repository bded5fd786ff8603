"""Which pictures a set is made of."""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from metaf2n_tf.errors import UserError


def _is_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in Image.registered_extensions()


def _walk(folder: str) -> Iterator[str]:
    """Pictures of a folder and those below it, each folder once, wherever links lead."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (os.path.join(root, name) for name in names if _is_picture(name) and not name.startswith("."))
        seen.add(real)


def list_pictures(inputs: Sequence[str], limit: int = 0) -> list[str]:
    """The pictures of folders (with all their sub-folders, hidden ones left out), globs (`**` too) and files.

    Args:
      inputs: folders, globs or files.
      limit: only the first so many, 0 for all.

    Returns:
      Paths in name order, each file once.

    Raises:
      UserError: one of the inputs gives no picture.
    """
    found = {}
    for given in inputs:
        if os.path.isdir(given):
            paths = list(_walk(given))
        elif os.path.isfile(given):
            paths = [given]
        else:
            paths = [path for path in glob.iglob(given, recursive=True) if os.path.isfile(path)]
        if not paths:
            raise UserError(f"{given}: no pictures there")
        for path in sorted(paths):
            found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())[: limit or None]


def digest(pictures: Sequence[str]) -> str:
    """sha256 of the files' places, sizes and times: the same as long as they are, however the paths are written."""
    summary = hashlib.sha256()
    for picture in pictures:
        status = Path(picture).stat()
        line = f"{os.path.realpath(picture)}\0{status.st_size}\0{status.st_mtime_ns}\n"
        summary.update(line.encode("utf-8", "surrogateescape"))
    return summary.hexdigest()
