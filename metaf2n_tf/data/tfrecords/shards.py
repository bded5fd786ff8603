"""How the files of a set are called: by the set's own name, or `NAME-00000-of-00004.tfrecord` and so on."""

import re
from pathlib import Path


def split_name(path: str) -> tuple[str, str]:
    """`folder/back400.tfrecord` to (`folder/back400`, `.tfrecord`)."""
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    return (folder + slash + stem, dot + suffix) if dot else (path, "")


def shard_paths(path: str, count: int) -> list[str]:
    """The files of a set of that many."""
    stem, suffix = split_name(path)
    return [path] if count == 1 else [f"{stem}-{index:05}-of-{count:05}{suffix}" for index in range(count)]


def is_of(path: Path, tfrecord: Path) -> bool:
    """Whether a file bears the name of a set, or that of a shard of it."""
    stem, suffix = split_name(tfrecord.name)
    return re.fullmatch(re.escape(stem) + r"(-\d{5}-of-\d{5})?" + re.escape(suffix), path.name) is not None
