"""Measure super-resolved photos: PSNR, SSIM, LPIPS, NIQE, FID (MetaF2N's calculate_metrics.py).

metaf2n metrics RESULTS --gt_dir GT
python calculate_metrics.py --result_dir RESULTS --gt_dir GT --fid_ref_dir REFERENCE
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli, common_flags

PUBLISHED_RESULTS, PUBLISHED_GT = "./datasets/FFHQ_Multi_iid/Res", "./datasets/FFHQ_Multi_iid/GT"


TAKES = "folder of pictures"


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("result_dir", PUBLISHED_RESULTS, "Folder of pictures to measure.")
    flags.DEFINE_string(
        "gt_dir",
        None,
        f"Folder with their ground truths, by name, whatever the extension. Left out: {PUBLISHED_GT} if "
        "--result_dir is left out too, else only metrics that need none.",
    )
    flags.DEFINE_string(
        "fid_ref_dir",
        None,
        f"Folder of the pictures that FID compares with, or a .npz of pytorch-fid. Left out: {PUBLISHED_GT} if "
        "--result_dir is left out too, else no FID.",
    )
    flags.DEFINE_string(
        "output_dir", None, "Folder for metrics.csv and metrics.json. Default: the one of the results.", short_name="o"
    )
    flags.DEFINE_enum("niqe", "pyiqa", ["pyiqa", "basicsr"], "Whose NIQE: pyiqa's, as published, or BasicSR's.")
    flags.DEFINE_enum(
        "fid_resize", "pytorch_fid", ["pytorch_fid", "tensorflow"], "FID's resizing: as published, or of the first FID."
    )
    common_flags.define_listing()
    common_flags.define_gpu()
    common_flags.define_max_megapixels()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import metrics

    result_dir = cli.path_of("result_dir", names)
    published = PUBLISHED_GT if result_dir == PUBLISHED_RESULTS else None
    options = cli.options_from(
        metrics.Options,
        result_dir=Path(result_dir),
        gt_dir=cli.optional_path(args.gt_dir or published),
        fid_ref_dir=cli.optional_path(args.fid_ref_dir or published),
        output_dir=Path(args.output_dir or result_dir),
        niqe_convention=args.niqe,
    )
    return metrics.run(options)
