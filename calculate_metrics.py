"""Measure super-resolved photos: PSNR, SSIM, LPIPS, NIQE, FID (MetaF2N's calculate_metrics.py).

python calculate_metrics.py --result_dir RESULTS --gt_dir GT --fid_ref_dir REFERENCE
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import cli, runtime

PUBLISHED_RESULTS, PUBLISHED_GT = "./datasets/FFHQ_Multi_iid/Res", "./datasets/FFHQ_Multi_iid/GT"

flags.DEFINE_string("result_dir", PUBLISHED_RESULTS, "Folder of pictures to measure.")
flags.DEFINE_string(
    "gt_dir",
    None,
    f"Folder with their ground truths, by name, whatever the extension. Left out: {PUBLISHED_GT} if --result_dir is "
    "left out too, else only metrics that need none.",
)
flags.DEFINE_string(
    "fid_ref_dir",
    None,
    f"Folder of the pictures that FID compares with, or a .npz of pytorch-fid. Left out: {PUBLISHED_GT} if "
    "--result_dir is left out too, else no FID.",
)
flags.DEFINE_string("output_dir", None, "Folder for metrics.csv and metrics.json. Default: the one of the results.")
flags.DEFINE_enum("niqe", "pyiqa", ["pyiqa", "basicsr"], "Whose NIQE: pyiqa's, as published, or BasicSR's.")
flags.DEFINE_enum(
    "fid_resize", "pytorch_fid", ["pytorch_fid", "tensorflow"], "FID's resizing: as published, or of the first FID."
)
flags.DEFINE_bool("recursive", False, "Also pictures in sub-folders.")
flags.DEFINE_string("gpu", None, "CUDA device id; -1 for the CPU. Default: the first GPU, else the CPU.")
cli.define_max_megapixels()


def main(args: flags.FlagValues) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.metrics import evaluate

    published = PUBLISHED_GT if args.result_dir == PUBLISHED_RESULTS else None
    gt_dir, fid_ref_dir = args.gt_dir or published, args.fid_ref_dir or published
    return evaluate.run(
        evaluate.Options(
            result_dir=Path(args.result_dir),
            gt_dir=None if gt_dir is None else Path(gt_dir),
            fid_ref_dir=None if fid_ref_dir is None else Path(fid_ref_dir),
            output_dir=Path(args.output_dir or args.result_dir),
            niqe_convention=args.niqe,
            fid_resize=args.fid_resize,
            recursive=args.recursive,
            gpu=args.gpu,
        )
    )


if __name__ == "__main__":
    cli.run(main)
