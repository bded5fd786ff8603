"""Training sets from folders of pictures (MetaF2N's scripts/generate_tfrecord.py), or a look at sets that are there.

metaf2n tfrecord --background_input DF2K --face_input ffhq/images256x256 --output_dir datasets
python scripts/generate_tfrecord.py --background_input DF2K --face_input ffhq/images256x256 --output_dir datasets
python scripts/generate_tfrecord.py --face_input celeba/train/HR --parsing_dir celeba/train/parsing --face_size 128
python scripts/generate_tfrecord.py --verify datasets/back400.tfrecord --verify datasets/whole_face.tfrecord
"""

import os
from pathlib import Path

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli, common_flags
from metaf2n_tf.errors import UserError

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_multi_string("background_input", [], "Folder, glob or file of background pictures; may be repeated.")
    flags.DEFINE_multi_string("face_input", [], "Folder, glob or file of whole faces; may be repeated.")
    flags.DEFINE_string("output_dir", "./datasets", "Folder for back400.tfrecord and whole_face.tfrecord.")
    flags.DEFINE_integer("background_size", 400, "Side of the background crops.", lower_bound=8)
    flags.DEFINE_integer("stride", 200, "Pixels from one background crop to the next.", lower_bound=1)
    flags.DEFINE_integer("face_size", 256, "Side of the faces; larger ones are resized to it.", lower_bound=8)
    flags.DEFINE_string(
        "parsing_dir", None, f"Folder of the faces' parsing maps, of the same names; for {places.called('distill')}."
    )
    flags.DEFINE_float(
        "min_gradient", None, "Leave out background crops whose log mean squared gradient is below this, like -6."
    )
    flags.DEFINE_bool(
        "multiscale", False, "Also crops of backgrounds at 0.75, 0.5, 1/3 and with a shortest side of 400."
    )
    flags.DEFINE_integer("num_shards", 1, "Files a set.", lower_bound=1)
    flags.DEFINE_integer("workers", None, "Threads. Default: one a CPU core.", lower_bound=1)
    flags.DEFINE_integer("limit", 0, "Use only the first so many pictures of a set; 0 for all.", lower_bound=0)
    flags.DEFINE_bool("overwrite", False, "Make sets anew that are already there.")
    flags.DEFINE_string("runner", None, "Run on Apache Beam with this runner, like DirectRunner.")
    flags.DEFINE_multi_string("runner_option", [], "Option for the runner, like --runner_option=--project=NAME.")
    flags.DEFINE_multi_string("verify", [], "Check this set and write a contact sheet beside it; may be repeated.")
    common_flags.define_max_megapixels()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    if args.verify:
        runtime.import_tensorflow()
        runtime.select_device("-1")
        from metaf2n_tf.commands.runs import verify

        return verify.run(args.verify)
    from metaf2n_tf.commands.runs import tfrecord
    from metaf2n_tf.data.tfrecords.crops import Cropping

    if args.parsing_dir and not args.face_input:
        raise UserError("--parsing_dir: give the faces with --face_input, too")
    output_dir = Path(args.output_dir)
    backgrounds = Cropping(args.background_size, args.stride, args.min_gradient, args.multiscale)
    faces = Cropping(args.face_size, parsing_dir=args.parsing_dir)
    requests = [
        tfrecord.Request(output_dir / f"back{args.background_size}.tfrecord", args.background_input, backgrounds),
        tfrecord.Request(output_dir / "whole_face.tfrecord", args.face_input, faces),
    ]
    options = cli.options_from(
        tfrecord.Options,
        workers=args.workers or len(os.sched_getaffinity(0)),
        runner_options=args.runner_option,
    )
    return tfrecord.run([request for request in requests if request.inputs], options)
