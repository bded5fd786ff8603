"""Restore a list of aligned faces, each with exemplars of the same person (ASFFNet's main_test.py).

metaf2n exemplars -s TestExamples/TestLists.txt -d TestExamples/TestResults
python scripts/restore_with_exemplars.py -s TestExamples/TestLists.txt -d TestExamples/TestResults
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import runtime
from metaf2n_tf.commands import common_flags

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string(
        "img_list",
        "./TestExamples/TestLists.txt",
        "Lines LQ FACE, FOLDER OF EXEMPLARS, FOLDER OF THEIR LANDMARKS, with tabs between.",
        short_name="s",
    )
    flags.DEFINE_string("out_path", "./TestExamples/TestResults", "Folder for the results.", short_name="d")
    common_flags.define_gpu()
    common_flags.define_max_megapixels()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import exemplars

    return exemplars.run(Path(args.img_list), Path(args.out_path), args.gpu)
