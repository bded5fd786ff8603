"""The SR network in the formats of other programs: as variables under other names, or as a graph."""

from collections.abc import Callable
from pathlib import Path

from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.export.ncnn import write_ncnn
from metaf2n_tf.export.onnx import write_onnx
from metaf2n_tf.export.tensorflow import write_saved_model, write_tflite
from metaf2n_tf.weights.load import Weights
from metaf2n_tf.weights.writing import WRITERS, say_what_stays, write_weights

_PAIR = (".param", ".bin")
_FOLDER, _TILED = "", ".tflite"
_DEFAULT_TILE = 128

# Graphs hold the SR network alone.
_GRAPHS: dict[str, Callable[[Path, Weights, bool], None]] = {
    ".onnx": write_onnx,
    **dict.fromkeys(_PAIR, write_ncnn),
    _FOLDER: write_saved_model,
}


def export(output: Path, weights: Weights, half: bool = False, tile: int | None = None) -> int:
    """Write weights in the format of the name's suffix, whole or not at all.

    Args:
      output: `.npz`, `.pth`, `.safetensors`: see `write_weights`; `.onnx`; `.param` or `.bin`, which come as a pair;
        `.tflite`; without a suffix, the folder of a SavedModel. What is there already is replaced, save a folder with
        anything else in it.
      half: weights as float16.
      tile: LQ pixels of a side that a `.tflite` takes; None for the default.

    Returns:
      How many bytes have been written.

    Raises:
      UserError: another suffix, a tile for another format, a network that the format cannot hold, a value too large for
        float16, or a place that cannot be written to, which is said before anything is computed.
    """
    suffix = output.suffix.lower()
    if suffix not in (_TILED, *WRITERS, *_GRAPHS):
        known = ", ".join([*WRITERS, *filter(None, _GRAPHS), _TILED])
        raise UserError(
            Argument("output", output), f": a name that ends with {known}, or with nothing for a SavedModel"
        )
    if tile is not None and suffix != _TILED:
        raise UserError(Argument("tile", tile), f": only a {_TILED} takes pictures of one size alone")
    files.make_folder(output.parent)
    if suffix != _FOLDER and output.is_dir():
        raise UserError(Argument("output", output), ": a folder, and a file is to be written")
    say_what_stays(output, weights)
    if suffix in WRITERS:
        write_weights(output, weights, half=half)
    elif suffix == _TILED:
        write_tflite(output, weights, half, tile or _DEFAULT_TILE)
    else:
        _GRAPHS[suffix](output, weights, half)
    pair = [output.with_suffix(end) for end in _PAIR] if suffix in _PAIR else [output]
    return sum(file.stat().st_size for part in pair for file in (part, *part.rglob("*")) if file.is_file())
