"""Fetch, verify and convert known weights."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf.commands import cli, weights

if __name__ == "__main__":
    cli.run(weights)
