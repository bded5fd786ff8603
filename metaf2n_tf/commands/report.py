"""Make the page of a folder of results anew, to compare pictures in.

metaf2n report RESULTS
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import runtime
from metaf2n_tf.errors import UserError

TAKES = "folder of results"


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("output", None, "The page. Default: report.html in the folder.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags and the folder, return the exit code."""
    if len(names) != 1:
        raise UserError(f"expected one {TAKES}, that upscale --report has written (--help lists the flags)")
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import report, upscale_report

    folder = Path(names[0])
    return report.run(folder, Path(args.output) if args.output else folder / upscale_report.REPORT)
