"""The README's commands work as they are written there."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from metaf2n_tf.data import images


@pytest.fixture
def commands(root):
    blocks = re.findall(r"```shell\n(.*?)```", (root / "README.md").read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("python ")]
    return [shlex.split(line)[1:] for line in lines]


def test_every_command_runs(root, commands):
    assert {command[0] for command in commands} >= {"generate_test_faces.py", "test.py", "scripts/download_weights.py"}
    for folder in ("faces", "sample"):
        shutil.rmtree(root / "results" / folder, ignore_errors=True)
    for command in commands:
        subprocess.run([sys.executable, *command], cwd=root, check=True)
    assert images.read_photo(root / "results" / "sample" / "grace_hopper.png").size == (512, 512)
    lq, hq = (
        images.read_photo(root / "results" / "faces" / side / "grace_hopper_0.png") for side in ("Face_LQ", "Face_HQ")
    )
    assert hq.size == (4 * lq.size[0], 4 * lq.size[1])


def test_flags_and_defaults_are_the_documented_ones(root):
    """The table of test.py's flags in the README names each flag, and its plain defaults."""
    readme = (root / "README.md").read_text()
    shown = subprocess.run([sys.executable, "test.py", "--help"], cwd=root, capture_output=True, text=True).stdout
    flags = re.findall(r"^  --(?:\[no\])?(\w+):", shown, re.M)
    assert len(flags) > 15
    for flag in flags:
        assert f"`--{flag}" in readme, flag
