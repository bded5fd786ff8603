"""Weights to files: the formats that hold variables, by the suffix of the file's name."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks import sr
from metaf2n_tf.weights import npz, pth, safetensors
from metaf2n_tf.weights.check import to_half
from metaf2n_tf.weights.load import Weights

logger = logging.getLogger(__name__)

_WHOLE = ".npz"
_WRAPPERS = ("params", "params_ema")  # Real-ESRGAN takes the one or the other


def say_what_stays(output: Path, weights: Weights) -> None:
    """Log what of the weights a file does not hold: all but `.npz` are of the SR network alone."""
    if output.suffix.lower() == _WHOLE:
        return
    parts = [name for name, has in (("MaskNet", weights.mask), ("learned rates", weights.log_rates)) if has]
    if parts:
        kind = output.suffix or "a SavedModel"
        logger.info(f"{output}: the SR network without {' and '.join(parts)}, for which {kind} has no place")


def _state_dict(output: Path, weights: Weights, half: bool) -> dict[str, np.ndarray]:
    """The SR network's variables as Real-ESRGAN names them, and in its layout."""
    values = {name: to_half(output, name, value) if half else value for name, value in weights.sr.items()}
    return {
        name.removeprefix(f"{sr.SCOPE}/").replace("/", "."): pth.to_torch_layout(value)
        for name, value in values.items()
    }


def _write_npz(output: Path, weights: Weights, half: bool) -> None:
    npz.write_npz(output, weights.variables, half)


def _write_pth(output: Path, weights: Weights, half: bool) -> None:
    pth.write_state_dict(output, _state_dict(output, weights, half), _WRAPPERS)


def _write_safetensors(output: Path, weights: Weights, half: bool) -> None:
    safetensors.write_safetensors(output, _state_dict(output, weights, half))


WRITERS: dict[str, Callable[[Path, Weights, bool], None]] = {
    _WHOLE: _write_npz,
    ".pth": _write_pth,
    ".safetensors": _write_safetensors,
}


def check_suffix(argument: str, output: Path) -> None:
    """Raise a UserError for a file of a kind that cannot be written; `argument` names it."""
    if output.suffix.lower() not in WRITERS:
        raise UserError(Argument(argument, output), f": the name of a {' or '.join(WRITERS)} file")


def write_weights(output: Path, weights: Weights, *, half: bool = False) -> None:
    """Write weights whole, in the format of the file's suffix, which `check_suffix` knows.

    Args:
      output: `.npz` with all that there is; `.pth` or `.safetensors` with the SR network under Real-ESRGAN's names,
        see `say_what_stays`.
      half: round to float16.

    Raises:
      UserError: a value too large for float16, or the file cannot be written.
    """
    WRITERS[output.suffix.lower()](output, weights, half)
