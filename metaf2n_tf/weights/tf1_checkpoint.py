"""The published checkpoint format: name-based TF1 Saver bundles, read and written without a Session."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError

_DATA = ".data-00000-of-00001"


def resolve_prefix(path: Path) -> Path | None:
    """The checkpoint prefix that a path means.

    Args:
      path: a prefix (`model-1000`), one of its files, or a folder: its newest checkpoint as the `checkpoint` file
        in it says, else the only one there.

    Returns:
      The prefix, or None where there is no checkpoint.

    Raises:
      UserError: a folder with several checkpoints and nothing that says which.
    """
    if path.is_dir():
        state = tf.train.get_checkpoint_state(str(path)) if (path / "checkpoint").is_file() else None
        if state is not None:
            prefix = path / os.path.basename(state.model_checkpoint_path)
            if prefix.with_name(prefix.name + ".index").is_file():
                return prefix
            raise UserError(f"{path / 'checkpoint'}: names {prefix.name}, and there is no {prefix.name}.index here")
        found = sorted(path.glob("*.index"))
        if len(found) > 1:
            names = ", ".join(file.name.removesuffix(".index") for file in found)
            raise UserError(f"{path}: holds several checkpoints; name one of {names}")
        return found[0].with_suffix("") if found else None
    name = path.name.removesuffix(".index").removesuffix(".meta").split(".data-")[0]
    prefix = path.with_name(name)
    return prefix if prefix.with_name(name + ".index").is_file() else None


def read_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """Read every variable of a checkpoint, `{name: array}` in the stored dtypes.

    Raises:
      UserError: a file of it is missing, truncated or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        first_line = str(error).split("\n")[0]
        raise UserError(
            f"{prefix}: not a readable TensorFlow checkpoint, or damaged: {first_line}. Remedy: copy its .index and "
            ".data files again"
        ) from error


def write_checkpoint(prefix: Path, variables: Mapping[str, np.ndarray]) -> None:
    """Write a checkpoint that `tf.compat.v1.train.Saver` restores, and make it its folder's newest.

    The data file is renamed into place before the index that makes it a checkpoint.

    Args:
      prefix: e.g. `Model0/model-1000`.
      variables: `{name: array}`; names and dtypes are stored as they are.
    """
    files.make_folder(prefix.parent)
    part = prefix.with_name(f".{prefix.name}.part")
    names = sorted(variables)
    tf.raw_ops.SaveV2(
        prefix=str(part), tensor_names=names, shape_and_slices=[""] * len(names), tensors=[variables[n] for n in names]
    )
    for suffix in (_DATA, ".index"):
        os.replace(part.with_name(part.name + suffix), prefix.with_name(prefix.name + suffix))
    state = f'model_checkpoint_path: "{prefix.name}"\nall_model_checkpoint_paths: "{prefix.name}"\n'
    files.write_bytes(prefix.with_name("checkpoint"), state.encode())
