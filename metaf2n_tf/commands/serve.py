"""Show a page in the browser, on which photos are enlarged one at a time: a drop, a click, a comparison.

metaf2n serve
metaf2n serve --port 8000 --model_dir realesrgan-x4plus
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli, common_flags, upscale
from metaf2n_tf.data import formats

TAKES = ""
_MAX_MEGAPIXELS = 200


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("host", "127.0.0.1", "Address to listen at. Default: of this machine alone.")
    flags.DEFINE_integer("port", 7860, "Port to listen at; 0 takes any.", lower_bound=0, upper_bound=65535)
    upscale.define_making()
    common_flags.define_gpu()
    common_flags.define_max_megapixels(_MAX_MEGAPIXELS)


def main(args: flags.FlagValues, _: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import serve
    from metaf2n_tf.commands.runs.upscale import Options
    from metaf2n_tf.upscale import steps

    options = cli.options_from(
        Options,
        input_dir=Path(),
        face_dir=None,
        output_dir=Path(),
        suffix=upscale.suffix_of(args.outscale),
        quality=formats.quality_of(args.format, args.quality),
        model_dir=cli.optional_path(args.model_dir),
        fine_tune_num=steps.parse_steps(args.fine_tune_num),
        strength=cli.parse_floats("strength"),
        recursive=False,
        ext=[],
        overwrite=False,
        report=False,
        gt_dir=None,
    )
    return serve.run(options, args.host, args.port)
