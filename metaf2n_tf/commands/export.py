"""Weights of any kind that test.py reads as one .npz: SR network, MaskNet and learned rates.

metaf2n export --model_dir realesrgan-x4plus --output x4plus_half.npz --half
python scripts/export_model.py --model_dir weights/Model0 --output lite.npz --half
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.errors import Argument, UserError

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("model_dir", None, f"Weights, as for {places.called('upscale')}.", required=True)
    flags.DEFINE_string("blend", None, "Other weights of the same network and their share, FILE:SHARE.")
    flags.DEFINE_string("output", None, "The .npz to write.", required=True)
    flags.DEFINE_bool("half", False, "Round to half precision: half the size.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.data import files
    from metaf2n_tf.weights import npz
    from metaf2n_tf.weights.load import load_weights

    output = Path(args.output)
    if output.suffix != ".npz":
        raise UserError(Argument("output", output), ": the name of a .npz file")
    weights = load_weights(args.model_dir, args.blend)
    files.make_folder(output.parent)
    npz.write_npz(output, weights.variables, half=args.half)
    cli.say(f"{output}: {load_weights(output)}, {output.stat().st_size / 1e6:.1f} MB")
    return cli.OK
