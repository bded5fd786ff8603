"""Which pictures a set is made of."""

import glob
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from metaf2n_tf.data import files, listing
from metaf2n_tf.errors import UserError


def _hint(given: str) -> str:
    """What may be wrong with a glob that gives nothing: brackets in the name of a folder."""
    folders = (str(folder) for folder in Path(given).parents if "[" in folder.name and os.path.isdir(folder))
    folder = next(folders, None)
    return f". Remedy: {given.replace(folder, glob.escape(folder), 1)}, as [ ] stand for one letter" if folder else ""


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
            paths = list(filter(listing.is_called_picture, listing.walk(given, recursive=True)))
        elif os.path.isfile(given):
            paths = [given]
        else:
            paths = [path for path in glob.iglob(given, recursive=True) if not os.path.isdir(path)]
        if not paths:
            raise UserError(f"{given}: no pictures there{_hint(given)}")
        for path in sorted(paths):
            found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())[: limit or None]


def digest(pictures: Sequence[str]) -> str:
    """sha256 of the files' places, sizes and times: the same as long as they are, however the paths are written."""
    summary = hashlib.sha256()
    for picture in pictures:
        size, time = files.size_and_time(picture)
        line = f"{os.path.realpath(picture)}\0{size}\0{time}\n"
        summary.update(line.encode("utf-8", "surrogateescape"))
    return summary.hexdigest()
