"""Exported files in the programs that they are for, which live in an environment of their own: `.venv-export`."""

import subprocess
import sys

import numpy as np
import pytest
import recipe
import test_formats
from conftest import ROOT

from metaf2n_tf.export import export
from metaf2n_tf.networks import rrdbnet
from metaf2n_tf.weights import load

pytestmark = pytest.mark.slow

PYTHON = ROOT / ".venv-export" / "bin" / "python"
PROGRAMS = (
    ("spandrel", ".pth"),
    ("realesrgan", ".pth"),
    ("spandrel", ".safetensors"),
    ("onnx_reference", ".onnx"),
    ("onnxruntime", ".onnx"),
    ("ncnn", ".param"),
    ("litert", ".tflite"),
)


def small_rrdbnet():
    """spandrel takes RRDBNets of any depth and width, but that grow by 32."""
    return test_formats.weights_of(recipe.weights(rrdbnet.variable_shapes(2, 16, 32), 5, "tf", 0.5))


WEIGHTS = {
    "rrdbnet": lambda _: small_rrdbnet(),
    "shipped": lambda _: load.load_weights("metaf2n-lite"),
    "adapted": test_formats.adapted,
    "x4plus": lambda _: load.load_weights(ROOT / "weights" / "realesrgan-x4plus.npz"),
}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", WEIGHTS)
def test_programs(tmp_path, name, half):
    assert PYTHON.is_file(), "run `make .venv-export/installed` first"
    weights = WEIGHTS[name](tmp_path)
    given = {False: test_formats.pictures((13, 18)), True: test_formats.pictures((32, 32))}  # by whether it is a tile
    wanted = {is_tile: test_formats.expected(weights.sr, one) for is_tile, one in given.items()}
    for program, suffix in PROGRAMS:
        path, is_tile = tmp_path / f"a{suffix}", suffix == ".tflite"
        if not path.exists():
            export(path, weights, half, 32 if is_tile else None)
        np.save(tmp_path / "given.npy", given[is_tile])
        script = [ROOT / "tests" / "other_programs.py", program, path, tmp_path / "given.npy", tmp_path / "result.npy"]
        done = subprocess.run([PYTHON, *script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        np.testing.assert_allclose(
            np.load(tmp_path / "result.npy"),
            wanted[is_tile],
            atol=test_formats.TOLERANCES[half],
            rtol=0,
            err_msg=program,
        )


def test_a_saved_model_needs_nothing_of_this_project(tmp_path):
    weights = small_rrdbnet()
    export(tmp_path / "saved", weights)
    np.save(tmp_path / "given.npy", test_formats.pictures((13, 18), 2))
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        "run = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "np.save(sys.argv[3], run(input=tf.constant(np.load(sys.argv[2])))['output'])\n"
        "assert 'metaf2n_tf' not in sys.modules"
    )
    paths = [tmp_path / name for name in ("saved", "given.npy", "result.npy")]
    subprocess.run([sys.executable, "-c", code, *map(str, paths)], check=True, cwd=tmp_path)
    wanted = test_formats.expected(weights.sr, np.load(tmp_path / "given.npy"))
    np.testing.assert_allclose(np.load(tmp_path / "result.npy"), wanted, atol=1e-4, rtol=0)
