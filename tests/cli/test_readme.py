"""The README's commands work as they are written there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import environment
from conftest import make_tiny_sr

from metaf2n_tf.data import images
from metaf2n_tf.faces import folder
from metaf2n_tf.weights import tf1_checkpoint


@pytest.fixture
def commands(root):
    blocks = re.findall(r"```shell\n(.*?)```", (root / "README.md").read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("python ")]
    return [shlex.split(line)[1:] for line in lines]


@pytest.fixture
def checkout(root, tmp_path):
    """The project in a folder of its own, so that nobody's results are touched."""
    for entry in root.iterdir():
        if not entry.name.startswith(".") and entry.name != "results":
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


def test_every_command_runs(checkout, commands, tmp_path):
    assert {command[0] for command in commands} >= {"generate_test_faces.py", "test.py", "scripts/download_weights.py"}
    for command in commands:
        subprocess.run([sys.executable, *command], cwd=checkout, check=True, env=environment(tmp_path))
    results = checkout / "results"
    assert images.read_photo(results / "sample" / "grace_hopper.png").size == (512, 512)
    lq, hq = (images.read_photo(results / "faces" / side / "grace_hopper_0.png") for side in ("Face_LQ", "Face_HQ"))
    assert hq.size == (4 * lq.size[0], 4 * lq.size[1])
    for name in ("back400.tfrecord", "whole_face.tfrecord", "back400.png", "meta_batch.png"):
        assert (results / "training" / name).is_file()
    assert (results / "sample" / "metrics.csv").is_file()
    assert (results / "experiment" / "report.html").is_file()


def test_the_examples_on_arrays_run(root, tmp_path, monkeypatch, golden_mask, sample_lq):
    """From Python: adapting, finding faces, measuring; with a tiny checkpoint in the published place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").symlink_to(root / "weights")
    (tmp_path / "LQ").mkdir()
    shutil.copy(sample_lq, "LQ/a.png")
    tf1_checkpoint.write_checkpoint(Path("pretrained_models/model-new/model-1"), make_tiny_sr() | golden_mask)
    lq = images.read_rgb8(sample_lq)[40:70, 40:70]
    pair = {folder.LQ: {0: lq}, folder.HQ: {0: lq.repeat(4, axis=0).repeat(4, axis=1)}}
    folder.write_pictures(Path("faces"), Path("a.png"), pair)
    section = (root / "README.md").read_text().split("## From Python")[1]
    blocks = re.findall(r"```python\n(.*?)```", section, re.S)
    names = {"gt": np.zeros((512, 512, 3), np.uint8)}
    for block in blocks[:3]:
        exec(block, names)
    assert names["result"].shape == (512, 512, 3)
    assert len(names["adaptation"].losses) == 6
    assert [(lq.shape, hq.shape) for lq, hq in names["faces"]] != [((30, 30, 3), (120, 120, 3))]
    assert len(names["faces"]) == 1
    assert not names["measure"].not_computed


@pytest.mark.parametrize(
    "script",
    [
        "test.py",
        "generate_test_faces.py",
        "main.py",
        "calculate_metrics.py",
        "scripts/fine_tune_experiment.py",
        "scripts/generate_tfrecord.py",
        "scripts/preview_meta_batch.py",
        "scripts/train_kdfsrnet.py",
    ],
)
def test_every_flag_is_in_the_tables(root, script):
    readme = (root / "README.md").read_text()
    done = subprocess.run([sys.executable, script, "--help"], cwd=root, capture_output=True, text=True, check=False)
    flags = re.findall(r"^  --(?:\[no\])?(\w+):", done.stdout, re.M)
    assert len(flags) >= 8
    for flag in flags:
        assert f"`--{flag}`" in readme, flag
