"""Restore a list of aligned faces, each with exemplars of the same person (ASFFNet's main_test.py)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf.commands import cli, exemplars

if __name__ == "__main__":
    cli.run(exemplars)
