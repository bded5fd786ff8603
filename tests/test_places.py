"""Where weights are looked for, and where the shipped ones are."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from metaf2n_tf import places
from metaf2n_tf.commands.main import COMMANDS


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working directory of a user who has set nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METAF2N_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_folder_of_weights_is_named_or_here_or_in_the_cache(home, monkeypatch):
    assert places.weights_dir() == home / "cache" / "metaf2n_tf" / "weights"
    assert not (home / "cache").exists()
    Path("weights").touch()
    assert places.weights_dir() == home / "cache" / "metaf2n_tf" / "weights"
    Path("weights").unlink()
    Path("weights").mkdir()
    assert places.weights_dir() == Path("weights")
    monkeypatch.setenv("METAF2N_WEIGHTS", "elsewhere")
    assert places.weights_dir() == Path("elsewhere")
    monkeypatch.setenv("METAF2N_WEIGHTS", "")
    assert places.weights_dir() == Path("weights")


def test_what_is_not_in_weights_is_found_in_the_folder_of_weights(home, monkeypatch):
    assert places.find("./weights/a.npz") == home / "cache" / "metaf2n_tf" / "weights" / "a.npz"
    monkeypatch.setenv("METAF2N_WEIGHTS", str(home / "elsewhere"))
    assert places.find("./weights/a.npz") == home / "elsewhere" / "a.npz"
    assert places.find("weights/Model0/model-5") == home / "elsewhere" / "Model0" / "model-5"
    for other in ("a.npz", "other/weights/a.npz", "/weights/a.npz", "../weights/a.npz"):
        assert places.find(other) == Path(other)
    Path("weights/Model0").mkdir(parents=True)
    for there in ("weights/a.npz", "weights/Model0/model-5.index"):
        Path(there).touch()
    for path in ("weights/a.npz", "weights/Model0", "weights/Model0/model-5"):
        assert places.exists(path)
        assert places.find(path) == Path(path)
    assert not places.exists("weights/Model0/model-6")


def test_checkpoints_in_weights_do_not_hide_what_the_cache_holds(home, monkeypatch):
    cached = home / "cache" / "metaf2n_tf" / "weights" / "a.npz"
    cached.parent.mkdir(parents=True)
    cached.touch()
    Path("weights/Model0").mkdir(parents=True)  # as a training makes it
    assert places.find("./weights/a.npz") == cached
    assert places.find("./weights/b.npz") == Path("weights/b.npz")  # where it is fetched to
    Path("weights/a.npz").touch()
    assert places.find("./weights/a.npz") == Path("weights/a.npz")
    monkeypatch.setenv("METAF2N_WEIGHTS", "elsewhere")
    assert places.find("./weights/c.npz") == Path("elsewhere/c.npz")
    cached.with_name("c.npz").touch()
    assert places.find("./weights/c.npz") == Path("elsewhere/c.npz")


@pytest.mark.parametrize("installed", [False, True])
def test_what_comes_with_the_program_lies_beside_or_inside_the_package(root, tmp_path, monkeypatch, installed):
    if installed:
        package = tmp_path / "metaf2n_tf"
        (package / "pretrained_models").mkdir(parents=True)
        (package / "pretrained_models" / "metaf2n_lite.npz").touch()
        (package / "config.py").write_text("TASK_LR = 7\n")
        monkeypatch.setattr(places, "_PACKAGE", package)
        assert places.shipped("metaf2n_lite.npz") == package / "pretrained_models" / "metaf2n_lite.npz"
        assert places.read_config()["TASK_LR"] == 7
        assert places.command("faces") == places.called("faces") == "metaf2n faces"
    else:
        assert places.shipped("metaf2n_lite.npz") == root / "pretrained_models" / "metaf2n_lite.npz"
        assert len(np.load(places.shipped("metaf2n_lite.npz")).files) > 0
        assert places.command("faces") == "python generate_test_faces.py"
        assert places.called("tfrecord") == "generate_tfrecord.py"
        assert places._SCRIPTS.keys() <= COMMANDS.keys()
        assert all(places.command(name).startswith("python ") for name in places._SCRIPTS)
        spec = importlib.util.spec_from_file_location("published", root / "config.py")
        published = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(published)
        assert places.read_config()["SR_WEIGHTS"] == published.SR_WEIGHTS == "./weights/RealESRGAN_x4plus.pth"
