"""Meta-train the SR network and MaskNet (MetaF2N's main.py); the numbers are in config.py.

metaf2n train --trial 0 --resume
python main.py --trial 0 --step 0 --gpu 0
"""

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_integer("trial", 0, "Number of the run: checkpoints in CHECKPOINT_DIR/ModelN, logs in LOG_DIR + N.", 0)
    flags.DEFINE_integer("step", 0, "Step of the newest checkpoint, from which training goes on; 0 without one.", 0)
    flags.DEFINE_bool(
        "resume", False, "Go on from the newest checkpoint, whichever it is, or start where there is none."
    )
    flags.DEFINE_string("config", None, "File like config.py to read the numbers from. Default: config.py itself.")
    flags.DEFINE_multi_string("set", [], "Another value for a number of config.py: NAME=VALUE. May be repeated.")
    flags.DEFINE_bool("first_order", False, "First-order meta-gradients: less time and memory, another method.")
    flags.DEFINE_bool(
        "recompute", False, "Keep only the inputs of the RRDB blocks for gradients: less memory, more time."
    )
    flags.DEFINE_bool("mixed_precision", False, "SR network and discriminator in bfloat16; weights stay in float32.")
    flags.DEFINE_bool("dry_run", False, "Two steps, nothing kept: print parameters, memory and time.")
    flags.DEFINE_string("gpu", None, "CUDA device ids, like 0 or 0,1; -1 for the CPU. Default: all GPUs, else the CPU.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    device = runtime.select_device(args.gpu)
    from metaf2n_tf.meta.settings import read_settings
    from metaf2n_tf.meta.trainer import TrainingRun, train

    # On a CPU, XLA takes minutes to compile a meta-step and then runs it slower than oneDNN (benchmarks/meta_step.py).
    run = cli.options_from(TrainingRun, xla=device == "GPU")
    return cli.ended(train(read_settings(places.read_config(cli.optional_path(args.config)), args.set), run))
