"""Weights of any kind that test.py reads, for other programs: PyTorch's, ncnn's, ONNX's, TensorFlow's; or as one .npz.

metaf2n export --model_dir metaf2n-lite --output lite.pth
python scripts/export_model.py --model_dir weights/Model0 --output lite.onnx --half
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("model_dir", None, f"Weights, as for {places.called('upscale')}.", required=True)
    flags.DEFINE_string("blend", None, "Other weights of the same network and their share, FILE:SHARE.")
    flags.DEFINE_string(
        "output",
        None,
        "What to write: .npz, .pth, .safetensors, .param (with its .bin), .onnx or .tflite; without any of these, the "
        "folder of a SavedModel.",
        required=True,
    )
    flags.DEFINE_bool("half", False, "Weights in half precision: half the size.")
    flags.DEFINE_integer(
        "tile", None, "LQ pixels of a side, for .tflite (default: 128).", lower_bound=32, upper_bound=4096
    )


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.export import export
    from metaf2n_tf.weights.load import load_weights

    output, weights = Path(args.output), load_weights(args.model_dir, args.blend)
    size = export(output, weights, args.half, args.tile)
    cli.say(f"{output}: {size / 1e6:.1f} MB of {weights}")
    return cli.OK
