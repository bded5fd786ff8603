"""Find out what fine-tuning steps are worth: many settings over a folder of photos, in one pass.

metaf2n experiment --input_dir LQ --gt_dir GT --output_dir EXPERIMENT
python scripts/fine_tune_experiment.py --input_dir LQ --gt_dir GT --output_dir EXPERIMENT --fine_tune_num 0,1,2,5,10
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli, common_flags

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("input_dir", None, "Folder of LQ photos.", required=True)
    flags.DEFINE_string(
        "face_dir", None, f"Folder with Face_LQ and Face_HQ ({places.called('faces')}). Left out: faces are found here."
    )
    flags.DEFINE_string("gt_dir", None, "Folder with ground truths, by name. Left out: only metrics that need none.")
    flags.DEFINE_string(
        "output_dir", "./results/experiment", "Folder for tables, plot, measurements, pictures and report."
    )
    flags.DEFINE_string("model_dir", None, f"Weights, as for {places.called('upscale')}.")
    flags.DEFINE_string("blend", None, "Other weights of the same network and their share, FILE:SHARE.")
    flags.DEFINE_string(
        "fine_tune_num",
        "0,1,2,5,10",
        f"Numbers of steps, and auto or auto:N, as for {places.called('upscale')}; 0 is always among them.",
    )
    flags.DEFINE_list(
        "strength",
        ["1"],
        f"Shares of the adaptation's change of the weights, 0 to 1, as for {places.called('upscale')}.",
    )
    flags.DEFINE_list("task_lr", [], "Learning rates, like 1e-3,1e-2. Default: the one that suits the weights.")
    flags.DEFINE_string("patch_size", "64", "Sides of the HQ face patches in pixels.")
    flags.DEFINE_string("patch_num_per_img", "16", "Numbers of patches cut from each face.")
    flags.DEFINE_string("seeds", "0", "Seeds of the patch positions.")
    common_flags.define_upscaling()
    flags.DEFINE_enum("niqe", "pyiqa", ["pyiqa", "basicsr"], "Whose NIQE: pyiqa's, as published, or BasicSR's.")
    flags.DEFINE_bool("save_pictures", False, "Also the results themselves, pictures/SETTING/steps_N/NAME.png.")
    flags.DEFINE_bool(
        "report", False, "Also report.html: sliders, faces, losses and metrics, in one file; saves pictures."
    )
    common_flags.define_listing()
    flags.DEFINE_bool("overwrite", False, "Measure anew what is measured already.")
    common_flags.define_gpu()
    common_flags.define_max_megapixels()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import experiment
    from metaf2n_tf.upscale import steps

    options = cli.options_from(
        experiment.Options,
        input_dir=Path(args.input_dir),
        output_dir=Path(args.output_dir),
        face_dir=cli.optional_path(args.face_dir),
        gt_dir=cli.optional_path(args.gt_dir),
        model_dir=cli.optional_path(args.model_dir),
        fine_tune_num=steps.parse_steps(args.fine_tune_num),
        **{name: cli.parse_ints(name) for name in ("patch_size", "patch_num_per_img", "seeds")},
        **{name: cli.parse_floats(name) for name in ("task_lr", "strength")},
    )
    return experiment.run(options)
