"""Which files a folder of photos holds: no photo lost, none entered twice, and no two that would give one result."""

import itertools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, Message, Part, UserError

_SHOWN = 10  # pairs of one name
_OF_FILE_MANAGERS = {"desktop.ini", "ehthumbs.db", "thumbs.db"}  # which hide others of theirs, like .DS_Store


def _is_meant(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _OF_FILE_MANAGERS


def walk(folder: str, recursive: bool) -> Iterator[str]:
    """Everything in a folder that is no folder, hidden files and those of file managers left out; in no order.

    Links that lead nowhere and folders that cannot be entered are among it, so that they are named when their turn
    comes to be read.

    Args:
      recursive: also what is in sub-folders, also those that links lead to, each once: under its own name where it
        lies inside, else under that of a link.
    """
    seen, own, linked = set(), [folder], []
    while own or linked:
        current = own.pop() if own else linked.pop(0)
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        try:
            names = sorted(filter(_is_meant, os.listdir(current)))
        except OSError:
            yield current
            continue
        for path in (os.path.join(current, name) for name in names):
            if not os.path.isdir(path):
                yield path
            elif recursive:
                (linked if os.path.islink(path) else own).append(path)


def is_called_picture(path: str | Path) -> bool:
    """Whether the extension is that of a kind of picture."""
    return os.path.splitext(path)[1].lower() in Image.registered_extensions()


def _is_picture(file: Path) -> bool:
    """By its name, or else by its first bytes: `photo.jpg~` and `photo` may be pictures, `photo.xmp` is none."""
    if is_called_picture(file):
        return True
    try:
        with files.open_regular(file) as stream, Image.open(stream):
            return True
    except Exception:  # whatever a decoder makes of what is no picture
        return False


def _folded(name: str) -> str:
    """Alike for names that differ in case and Unicode form alone."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def check_names(names: Iterable[tuple[Path, Path]], results: Path, remedy: Part) -> None:
    """Refuse pictures whose results would take each other's place.

    Args:
      names: (file, path of its results in their folder, without extension).
      results: that folder, whose file system may take `A` and `a` for one name, or the two ways to write `é`.
      remedy: what to do about it.

    Raises:
      UserError: two results, or the faces of two photos, would have one name.
    """
    groups = defaultdict(list)
    for file, name in names:
        groups[_folded(name.as_posix())].append((file, name))
    clashes = []
    for group in groups.values():
        pictures = [one for one in group if len(group) > 1 and _is_picture(one[0])]
        for (file, name), (other, other_name) in itertools.combinations(pictures, 2):
            if name == other_name or files.are_one(results, name, other_name):
                clashes.append(f"{file} and {other.name if other.parent == file.parent else other}")
    if clashes:
        others = f", ... ({len(clashes)} pairs)" if len(clashes) > _SHOWN else ""
        shown = ", ".join(clashes[:_SHOWN])
        raise UserError(f"{shown}{others} would give results of one name. Remedy: ", remedy)


def list_files(
    folder: Path,
    extensions: Sequence[str] = (),
    recursive: bool = False,
    leave_out: Sequence[Path] = (),
    argument: str = "input_dir",
) -> list[Path]:
    """Files of a folder in name order; see `walk` for what is left out.

    Args:
      extensions: suffixes such as `png` or `.jpg`; files with another one are left out. Empty: every file counts.
      recursive: also those in sub-folders.
      leave_out: folders of faces or results, which may lie inside `folder`.
      argument: whose value `folder` is, for messages.

    Raises:
      UserError: no such folder, or nothing in it.
    """
    if not os.path.isdir(folder):
        raise UserError(Argument(argument, folder), ": no such folder")
    suffixes = {"." + extension.lower().lstrip(".") for extension in extensions}
    others = [other for other in map(files.real, leave_out) if not files.real(folder).is_relative_to(other)]
    found = sorted(map(Path, walk(str(folder), recursive)))
    if suffixes:
        found = [file for file in found if file.suffix.lower() in suffixes or os.path.isdir(file)]
    if others:
        found = [file for file in found if not any(files.real(file).is_relative_to(other) for other in others)]
    if not found:
        raise UserError(Argument(argument, folder), ": no photos there")
    return found


def list_photos(
    given: Path,
    extensions: Sequence[str],
    recursive: bool,
    results: Path,
    leave_out: Sequence[Path] = (),
) -> tuple[Path, list[Path]]:
    """The photos that a user names, a folder of them or a single one, whose results all have names of their own.

    Args:
      given: see `list_files` for the rest, which does not matter for a single photo.
      results: folder for files that are called like the photos, but for the extension.

    Returns:
      The folder that the photos' names are relative to, and the photos.

    Raises:
      UserError: no such folder, nothing in it, or two photos whose results would have one name.
    """
    if os.path.isfile(given):
        return given.parent, [given]
    photos = list_files(given, extensions, recursive, leave_out)
    named = ((photo, photo.relative_to(given).with_suffix("")) for photo in photos)
    check_names(named, results, Message("rename one, or ", Argument("ext")))
    return given, photos
