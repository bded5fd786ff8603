"""The README's commands work as they are written there."""

import re
import shlex
import subprocess
import sys

import pytest
from commands import environment

from metaf2n_tf.data import images


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


@pytest.mark.parametrize(
    "script",
    ["test.py", "generate_test_faces.py", "main.py", "scripts/generate_tfrecord.py", "scripts/preview_meta_batch.py"],
)
def test_every_flag_is_in_the_tables(root, script):
    readme = (root / "README.md").read_text()
    done = subprocess.run([sys.executable, script, "--help"], cwd=root, capture_output=True, text=True, check=False)
    flags = re.findall(r"^  --(?:\[no\])?(\w+):", done.stdout, re.M)
    assert len(flags) >= 8
    for flag in flags:
        assert f"`--{flag}`" in readme, flag
