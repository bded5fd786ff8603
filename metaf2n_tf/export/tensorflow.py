"""SavedModel, and LiteRT's `.tflite`: the SR network as TensorFlow's own programs run it.

Float32 (N, H, W, 3) RGB in [0, 1] to (N, 4H, 4W, 3), not clipped.
"""

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


class _Network(tf.Module):
    """The weights as variables of float16 or float32, and `upscale`, of pictures of one shape or of any."""

    def __init__(self, output: Path, weights: Weights, half: bool, sides: tuple[int | None, ...]):
        super().__init__()
        values = {name: to_half(output, name, value) if half else value for name, value in weights.sr.items()}
        self.params = {name: tf.Variable(tf.constant(value), trainable=False) for name, value in values.items()}
        self.upscale = tf.function(self._forward, [tf.TensorSpec(sides, tf.float32, INPUT)], autograph=False)

    def _forward(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        params = {name: tf.cast(value, tf.float32) for name, value in self.params.items()}
        network = sr.network_of(params)
        return {OUTPUT: network.forward(params, images, network.block)}


def write_saved_model(output: Path, weights: Weights, half: bool) -> None:
    """Write a folder with the signature `serving_default`, for pictures of any size.

    Raises:
      UserError: something else is there, a value is too large for float16, or the folder cannot be written.
    """
    network = _Network(output, weights, half, (None, None, None, 3))
    with files.replacing_folder(output, _ENTRIES) as part:
        try:
            tf.saved_model.save(network, str(part), signatures={"serving_default": network.upscale})
        except tf.errors.OpError as error:
            raise UserError(f"{output}: cannot be written: {first_line(error)}") from error


def write_tflite(output: Path, weights: Weights, half: bool, tile: int) -> None:
    """Write the network for one picture of `tile` x `tile` pixels; with `half` its weights are float16.

    Raises:
      UserError: the network takes no such tile, a value is too large for float16, or the file cannot be written.
    """
    if tile % sr.unit(weights.sr):
        raise UserError(Argument("tile", tile), f": these weights take multiples of {sr.unit(weights.sr)} pixels")
    network = _Network(output, weights, half, (1, tile, tile, 3))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.upscale.get_concrete_function()], network)
    if half:
        converter.optimizations, converter.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    with runtime.quietly():
        content = converter.convert()
    files.write_bytes(output, content)
