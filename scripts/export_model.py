"""Weights of any kind that test.py reads, for other programs, or as one .npz."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf.commands import cli, export

if __name__ == "__main__":
    cli.run(export)
