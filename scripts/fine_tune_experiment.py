"""Find out what fine-tuning steps are worth: many settings over a folder of photos, in one pass."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf.commands import cli, experiment

if __name__ == "__main__":
    cli.run(experiment)
