"""Shared fixtures: golden cases, the real weights, tiny networks."""

import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
sys.path[:0] = [str(ROOT), str(GOLDEN)]
os.environ["METAF2N_WEIGHTS"] = "weights"  # in whatever folder a test works, never the user's own

import recipe  # noqa: E402

from metaf2n_tf import runtime  # noqa: E402

runtime.import_tensorflow()
runtime.select_device("-1")

from metaf2n_tf.commands import cli  # noqa: E402
from metaf2n_tf.networks import masknet, rrdbnet  # noqa: E402
from metaf2n_tf.weights.load import load_weights  # noqa: E402

REAL_WEIGHTS = ROOT / "weights" / "realesrgan-x4plus.npz"


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture
def speaking(monkeypatch):
    """What the library logs is said on stderr, as a command has it."""
    logger = logging.getLogger("metaf2n_tf")
    for name in ("handlers", "propagate", "level"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
    cli.say_what_is_logged()


@pytest.fixture(scope="session")
def golden():
    """golden("masknet") -> (arrays, meta)."""

    def load(topic):
        with np.load(GOLDEN / topic / "case.npz") as arrays:
            return dict(arrays), json.loads((GOLDEN / topic / "meta.json").read_text())

    return load


@pytest.fixture(scope="session")
def real_weights():
    """The real x4plus weights, which `make` downloads."""
    assert REAL_WEIGHTS.is_file(), "run `make weights/realesrgan-x4plus.npz` first"
    return load_weights(REAL_WEIGHTS)


@pytest.fixture(scope="session")
def real_params(real_weights):
    return real_weights.sr


@pytest.fixture(scope="session")
def golden_mask():
    """MaskNet weights of golden/masknet."""
    params = recipe.weights(masknet.variable_shapes(), 21, "tf", 1.3)
    params["Mask/conv8/bias"] = np.float32([0.10])
    return params


def make_tiny_sr(seed=5):
    """A 2-block network, 8 wide, whose output resembles its input enlarged."""
    params = recipe.weights(rrdbnet.variable_shapes(2, 8, 4), seed, "tf", 0.6)
    for colour in range(3):  # carry the colours through the first channels
        for conv in ("conv_first", "conv_up1", "conv_up2", "conv_hr", "conv_last"):
            params[f"MODEL/{conv}/weight"][1, 1, colour, colour] += 1.0
    return params


@pytest.fixture(scope="session")
def tiny_sr():
    return make_tiny_sr()


@pytest.fixture(scope="session")
def sample_lq(root):
    return root / "datasets" / "sample" / "LQ" / "grace_hopper.png"
