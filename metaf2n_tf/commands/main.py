"""The command `metaf2n`: one of its commands by name, each with the flags of its script."""

import importlib
import sys

from metaf2n_tf import __version__

COMMANDS = {
    "upscale": "adapt to the faces of photos and super-resolve them x4 (test.py)",
    "faces": "find and restore the faces of photos (generate_test_faces.py)",
    "metrics": "measure pictures: PSNR, SSIM, LPIPS, NIQE, FID (calculate_metrics.py)",
    "experiment": "find out what fine-tuning steps are worth (scripts/fine_tune_experiment.py)",
    "serve": "show a page on which photos are enlarged one at a time",
    "report": "make the page of a folder of results anew, to compare pictures in",
    "weights": "fetch known weights (scripts/download_weights.py)",
    "export": "weights for other programs, or as one .npz (scripts/export_model.py)",
    "train": "meta-train SR network and MaskNet (main.py)",
    "tfrecord": "training sets from folders of pictures (scripts/generate_tfrecord.py)",
    "preview": "a meta-batch as a picture (scripts/preview_meta_batch.py)",
    "distill": "train KDFSRNet, a face restorer (scripts/train_kdfsrnet.py)",
    "exemplars": "restore aligned faces with exemplars (scripts/restore_with_exemplars.py)",
}


def _usage() -> str:
    lines = [f"  {name:<12}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: metaf2n COMMAND [flags]",
            "",
            "  metaf2n upscale photo.jpg            writes photo_x4.png beside it",
            "  metaf2n upscale PHOTOS -o RESULTS    a folder",
            "",
            *lines,
            "",
            "metaf2n COMMAND --help lists a command's flags; metaf2n --version says which version this is.",
        ]
    )


def main() -> None:
    """Run the command that is named first, or say what there is."""
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name == "--version":
        print(f"metaf2n_tf {__version__}")
    elif name in ("--help", "-h", "help"):
        print(_usage())
    elif name in COMMANDS:
        from metaf2n_tf.commands import cli

        cli.run(importlib.import_module(f"metaf2n_tf.commands.{name}"), [f"metaf2n {name}", *sys.argv[2:]])
    else:
        print(
            _usage() if name is None else f"error: {name}: no such command (metaf2n --help lists them)", file=sys.stderr
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
