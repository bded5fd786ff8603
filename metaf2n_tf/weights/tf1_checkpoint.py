"""The published checkpoint format: name-based TF1 Saver bundles, read without TensorFlow, written without a Session."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError, first_line, one_line
from metaf2n_tf.weights import tf1_bundle

_DATA = ".data-00000-of-00001"
_LONGEST_STATE = 1 << 20  # of the file `checkpoint`, which names some checkpoints


def resolve_prefix(path: Path) -> Path | None:
    """The checkpoint prefix that a path means.

    Args:
      path: a prefix (`model-1000`), one of its files, or a folder: its newest checkpoint as the `checkpoint` file
        in it says, else the only one there.

    Returns:
      The prefix, or None where there is no checkpoint.

    Raises:
      UserError: a folder with several checkpoints and nothing that says which; one whose file `checkpoint` names none
        of those in it; a name that the system does not take.
    """
    try:
        return _resolve(path)
    except OSError as error:
        raise UserError(f"{one_line(str(path))}: cannot be read: {error.strerror or error}") from None


def _indexes(folder: Path) -> list[Path]:
    """Those of whole checkpoints: hidden ones are being written, or a killed writer left them."""
    return sorted(path for path in folder.glob("*.index") if not path.name.startswith(".") and path.is_file())


def _resolve(path: Path) -> Path | None:
    if path.is_dir():
        state, found = path / "checkpoint", {index.stem: index.with_suffix("") for index in _indexes(path)}
        if state.is_file():
            content = files.read_whole(state, _LONGEST_STATE).decode(errors="replace")
            named = re.search(r'^model_checkpoint_path: "(.*)"', content, re.M)
            name = os.path.basename(named[1]) if named else ""
            if name in found:
                return found[name]
            raise UserError(f"{state}: names {one_line(name) or 'nothing'}, of which there is no .index here")
        if len(found) > 1:
            raise UserError(f"{path}: holds several checkpoints; name one of {one_line(', '.join(found))}")
        return next(iter(found.values()), None)
    name = path.name.removesuffix(".index").removesuffix(".meta").split(".data-")[0]
    return path.parent / name if name and (path.parent / f"{name}.index").is_file() else None


def read_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """Read every variable of a checkpoint, `{name: array}` in the stored dtypes.

    Raises:
      UserError: a file of it is missing, truncated or damaged.
    """
    try:
        return tf1_bundle.read(prefix)
    except (OSError, UserError, *tf1_bundle.DAMAGE) as error:
        reason = (
            f"{os.path.basename(error.filename or prefix)}: {error.strerror}" if isinstance(error, OSError) else error
        )
        raise UserError(
            f"{prefix}: not a readable TensorFlow checkpoint, or damaged: {one_line(str(reason))}. Remedy: copy its "
            ".index and .data files again"
        ) from error


def write_checkpoint(prefix: Path, variables: Mapping[str, np.ndarray], replaces: Sequence[Path] = ()) -> None:
    """Write a checkpoint that `tf.compat.v1.train.Saver` restores, and make it its folder's newest.

    The data file is renamed into place before the index that makes it a checkpoint, and an index that is there already
    goes first: killed at any time, this leaves no checkpoint with another one's data.

    Args:
      prefix: e.g. `Model0/model-1000`.
      variables: `{name: array}`; names and dtypes are stored as they are.
      replaces: prefixes of checkpoints in the same folder that go as soon as this one is there.

    Raises:
      UserError: the disk is full, or the place cannot be written to.
    """
    files.make_folder(prefix.parent)
    part = prefix.with_name(f".{prefix.name}.part")
    pieces = [part.with_name(part.name + suffix) for suffix in (_DATA, ".index")]
    names = sorted(variables)
    try:
        tf.raw_ops.SaveV2(
            prefix=str(part),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[variables[name] for name in names],
        )
        prefix.with_name(prefix.name + ".index").unlink(missing_ok=True)
        for piece in pieces:
            with piece.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(piece, prefix.with_name(prefix.name + piece.name.removeprefix(part.name)))
    except (tf.errors.OpError, OSError) as error:
        raise UserError(f"{prefix}: cannot be written: {first_line(error)}") from error
    finally:
        for piece in pieces:
            piece.unlink(missing_ok=True)
    gone = {path.name for path in replaces}
    others = [index.stem for index in _indexes(prefix.parent)]
    kept = sorted({*others, prefix.name} - gone, key=_by_number)
    lines = [f'model_checkpoint_path: "{prefix.name}"', *(f'all_model_checkpoint_paths: "{name}"' for name in kept)]
    files.write_bytes(prefix.with_name("checkpoint"), ("\n".join(lines) + "\n").encode())
    for path in replaces:
        _delete(path)


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _delete(prefix: Path) -> None:
    try:
        for suffix in (".index", _DATA, ".meta"):
            prefix.with_name(prefix.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{prefix}: cannot be deleted: {error.strerror}") from None
