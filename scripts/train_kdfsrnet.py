"""Train KDFSRNet, a face restorer: first its teacher, then the student that learns from it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metaf2n_tf.commands import cli, distill

if __name__ == "__main__":
    cli.run(distill)
