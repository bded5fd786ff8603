"""Restore a list of aligned faces, each with exemplars of the same person (ASFFNet's main_test.py).

python scripts/restore_with_exemplars.py -s TestExamples/TestLists.txt -d TestExamples/TestResults
"""

import sys
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf import cli, runtime

flags.DEFINE_string(
    "img_list",
    "./TestExamples/TestLists.txt",
    "Lines LQ FACE, FOLDER OF EXEMPLARS, FOLDER OF THEIR LANDMARKS, with tabs between.",
    short_name="s",
)
flags.DEFINE_string("out_path", "./TestExamples/TestResults", "Folder for the results.", short_name="d")
flags.DEFINE_string("gpu", None, "CUDA device id; -1 for the CPU. Default: the first GPU, else the CPU.")
cli.define_max_megapixels()


def main(args: flags.FlagValues) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.faces.exemplars import published_list

    return published_list.run(Path(args.img_list), Path(args.out_path), args.gpu)


if __name__ == "__main__":
    cli.run(main)
