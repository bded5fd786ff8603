"""Training sets from folders of pictures (MetaF2N's scripts/generate_tfrecord.py), or a look at sets that are there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf.commands import cli, tfrecord

if __name__ == "__main__":
    cli.run(tfrecord)
