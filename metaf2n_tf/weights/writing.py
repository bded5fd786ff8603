"""Weights into a file: the formats that can be written, by suffix."""

from collections.abc import Callable
from pathlib import Path

from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.load import Weights


def _write_npz(output: Path, weights: Weights, half: bool) -> None:
    npz.write_npz(output, weights.variables, half)


_WRITERS: dict[str, Callable[[Path, Weights, bool], None]] = {".npz": _write_npz}


def check_suffix(argument: str, output: Path) -> None:
    """Raise a UserError for a file of a kind that cannot be written; `argument` names it."""
    if output.suffix not in _WRITERS:
        raise UserError(Argument(argument, output), f": the name of a {' or '.join(_WRITERS)} file")


def write_weights(output: Path, weights: Weights, *, half: bool = False) -> None:
    """Write weights in the format that the suffix names; with `half` in half precision, rounded.

    Raises:
      UserError: as `npz.write_npz`.
    """
    _WRITERS[output.suffix](output, weights, half)
