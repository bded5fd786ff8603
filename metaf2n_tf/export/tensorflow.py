"""SavedModel, and LiteRT's `.tflite`: the SR network as TensorFlow's own programs run it.

Float32 (N, H, W, 3) RGB in [0, 1] to (N, 4H, 4W, 3), not clipped.
"""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from metaf2n_tf import runtime
from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, UserError, first_line
from metaf2n_tf.networks import sr
from metaf2n_tf.weights.check import to_half
from metaf2n_tf.weights.load import Weights

INPUT, OUTPUT = "input", "output"
_ENTRIES = ("saved_model.pb", "fingerprint.pb", "variables", "assets")


def _module(output: Path, weights: Weights, half: bool) -> tf.Module:
    """The weights as variables of float16 or float32."""
    values = {name: to_half(output, name, value) if half else value for name, value in weights.sr.items()}
    module = tf.Module()
    module.params = {name: tf.Variable(value, trainable=False) for name, value in values.items()}
    return module


def _function(module: tf.Module, sides: tuple[int | None, ...]) -> Callable:
    """The network for pictures of this shape."""
    network = sr.network_of(module.params)

    def forward(images: tf.Tensor) -> dict[str, tf.Tensor]:
        params = {name: tf.cast(value, tf.float32) for name, value in module.params.items()}
        return {OUTPUT: network.forward(params, images, network.block)}

    return tf.function(forward, [tf.TensorSpec(sides, tf.float32, INPUT)], autograph=False)


def write_saved_model(output: Path, weights: Weights, half: bool) -> None:
    """Write a folder with the signature `serving_default`, for pictures of any size.

    Raises:
      UserError: something else is there, a value is too large for float16, or the folder cannot be written.
    """
    module = _module(output, weights, half)
    module.upscale = _function(module, (None, None, None, 3))
    with files.replacing_folder(output, _ENTRIES) as part:
        try:
            tf.saved_model.save(module, str(part), signatures={"serving_default": module.upscale})
        except tf.errors.OpError as error:
            raise UserError(f"{output}: cannot be written: {first_line(error)}") from error


def write_tflite(output: Path, weights: Weights, half: bool, tile: int) -> None:
    """Write the network for one picture of `tile` x `tile` pixels; with `half` its weights are float16.

    Raises:
      UserError: the network takes no such tile, a value is too large for float16, or the file cannot be written.
    """
    if tile % sr.unit(weights.sr):
        raise UserError(Argument("tile", tile), f": these weights take multiples of {sr.unit(weights.sr)} pixels")
    module = _module(output, weights, half)
    function = _function(module, (1, tile, tile, 3))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
    if half:
        converter.optimizations, converter.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    with runtime.quietly():
        content = converter.convert()
    files.write_bytes(output, content)
