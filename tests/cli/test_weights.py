"""scripts/download_weights.py and scripts/export_model.py as a user runs them."""

import subprocess

import numpy as np
from commands import command, environment, run

from metaf2n_tf.weights.load import load_weights

EXPORT, FETCH = "scripts/export_model.py", "scripts/download_weights.py"


def test_known_weights_are_listed_with_their_places(tmp_path):
    variables = environment(tmp_path) | {"METAF2N_WEIGHTS": str(tmp_path / "elsewhere")}
    done = subprocess.run(
        command(FETCH, "--list"), capture_output=True, text=True, check=True, cwd=tmp_path, env=variables
    )
    places = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if not line.startswith(" ")}
    assert places["realesrgan-x4plus"] == str(tmp_path / "elsewhere" / "realesrgan-x4plus.npz")
    assert places["metaf2n"] == "pretrained_models/model-new"
    assert not (tmp_path / "elsewhere").exists()


def test_weights_are_exported_by_name(tmp_path):
    printed = run(tmp_path, EXPORT, "--model_dir", "metaf2n-lite", "--output", "lite.npz")
    weights = load_weights("metaf2n-lite")
    assert load_weights(tmp_path / "lite.npz").identity == weights.identity
    assert f"identity {weights.identity}" in printed
    printed = run(tmp_path, EXPORT, "--model_dir", "realesrgan-x4plus", "--output", "x4plus.npz", code=2)
    assert "error: realesrgan-x4plus: there is no weights/realesrgan-x4plus.npz. Remedy: python scripts/dow" in printed
    printed = run(tmp_path, EXPORT, "--model_dir", "nowhere", "--output", "x4plus.npz", code=2)
    assert "error: nowhere: no weights there" in printed
    assert "and pass --model_dir weights/realesrgan-x4plus.npz\n" in printed
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".npz"] == ["lite.npz"]


def test_weights_are_exported_for_other_programs(tmp_path):
    printed = run(tmp_path, EXPORT, "--model_dir", "metaf2n-lite", "--output", "new/lite.safetensors", "--half")
    assert "new/lite.safetensors: the SR network without MaskNet and learned rates, for which .safetensors" in printed
    assert "new/lite.safetensors: 2.4 MB of " in printed
    assert np.isfinite(load_weights(tmp_path / "new" / "lite.safetensors").sr["MODEL/body/0/weight"]).all()
    printed = run(tmp_path, EXPORT, "--model_dir", "new/lite.safetensors", "--output", "lite")
    assert printed.splitlines()[-1].startswith("lite: 5.")
    assert len(printed.splitlines()) == 1
    assert (tmp_path / "lite" / "saved_model.pb").is_file()


def test_what_cannot_be_exported_is_one_line(tmp_path):
    lite = ("--model_dir", "metaf2n-lite", "--output")
    for arguments, message in (
        ((*lite, "lite.pt"), "error: --output lite.pt: a name that ends with .npz, .pth, "),
        ((*lite, "lite.onnx", "--tile", "64"), "error: --tile 64: only a .tflite takes pictures of one size alone"),
        ((*lite, "lite.tflite", "--tile", "-1"), "error: flag --tile=-1"),
        ((*lite, "."), "is there already, and holds something else. Remedy: another name"),
        (("--model_dir", "faces-lite", "--output", "a.param"), "error: a.param: SRVGGNetCompact of "),
    ):
        (tmp_path / "mine.txt").touch()
        assert message in run(tmp_path, EXPORT, *arguments, code=2)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
