"""scripts/download_weights.py and scripts/export_model.py as a user runs them."""

import subprocess

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
