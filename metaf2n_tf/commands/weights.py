"""Fetch, verify and convert known weights.

metaf2n weights --list
python scripts/download_weights.py --list
python scripts/download_weights.py realesrgan-x4plus
"""

from absl import flags

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.errors import UserError

TAKES = "names of weights"


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_bool("list", False, "Show the known weights and stop.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags and the names of weights, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.weights import fetch
    from metaf2n_tf.weights.catalogue import CATALOGUE

    if args.list or not names:
        for name, entry in CATALOGUE.items():
            print(f"{name:24}{entry.megabytes:4} MB  {entry.path}\n{'':24}{entry.what}\n{'':24}{entry.where}")
        return cli.OK
    for name in names:
        if name not in CATALOGUE:
            raise UserError(f"{name}: not a known name. Remedy: one of {', '.join(CATALOGUE)}")
    for name in names:
        fetch.fetch(name, CATALOGUE[name])
    return cli.OK
