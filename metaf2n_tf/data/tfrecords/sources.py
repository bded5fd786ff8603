"""Which pictures a set is made of."""

import glob
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from metaf2n_tf.errors import UserError


def _is_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in Image.registered_extensions()


def list_pictures(inputs: Sequence[str], limit: int = 0) -> list[str]:
    """The pictures of folders (with all their sub-folders, hidden ones left out) and globs (`**` too), in name order.

    Args:
      inputs: folders, globs or files.
      limit: only the first so many, 0 for all.

    Raises:
      UserError: one of the inputs gives no picture.
    """
    found = set()
    for given in inputs:
        if os.path.isdir(given):
            inside = glob.iglob(os.path.join(glob.escape(given), "**", "*"), recursive=True)
            pictures = {path for path in inside if _is_picture(path) and os.path.isfile(path)}
        else:
            pictures = {path for path in glob.iglob(given, recursive=True) if os.path.isfile(path)}
        if not pictures:
            raise UserError(f"{given}: no pictures there")
        found |= {os.path.normpath(path) for path in pictures}
    return sorted(found)[: limit or None]


def digest(pictures: Sequence[str]) -> str:
    """sha256 of the pictures' names, sizes and times: the same as long as the files are."""
    summary = hashlib.sha256()
    for picture in pictures:
        status = Path(picture).stat()
        summary.update(f"{picture}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return summary.hexdigest()
