"""Weights of any kind that test.py reads as one .npz: SR network, MaskNet and learned rates.

python scripts/export_model.py --model_dir weights/Model0 --output lite.npz --half
"""

import sys
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf import cli, runtime

flags.DEFINE_string("model_dir", None, "Weights, as for test.py.", required=True)
flags.DEFINE_string("blend", None, "Other weights of the same network and their share, FILE:SHARE.")
flags.DEFINE_string("output", None, "The .npz to write.", required=True)
flags.DEFINE_bool("half", False, "Round to half precision: half the size.")


def main(args: flags.FlagValues) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.data import files
    from metaf2n_tf.weights import npz
    from metaf2n_tf.weights.load import load_weights

    output = Path(args.output)
    if output.suffix != ".npz":
        raise cli.UserError(f"--output {output}: the name of a .npz file")
    weights = load_weights(args.model_dir, args.blend)
    files.make_folder(output.parent)
    npz.write_npz(output, weights.variables, half=args.half)
    cli.say(f"{output}: {load_weights(output)}, {output.stat().st_size / 1e6:.1f} MB")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
