"""The training command, as a user runs it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import command, environment, run

sys.path.append(str(Path(__file__).resolve().parents[1] / "meta"))

import tiny_training

from metaf2n_tf.weights import tf1_checkpoint


def arguments(folder, **changes):
    values = tiny_training.make_sets(folder) | changes
    settings = [argument for name, value in values.items() for argument in ("--set", f"{name}={value}")]
    return ["--trial", "0", "--gpu", "-1", *settings]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--set", "META_LRR=1"], "error: --set META_LRR: no such name in config.py; META_LR?"),
        (["--config", "mine.py"], "error: HEIGHT = 3: expected a whole number of at least 4"),
        (["--config", "broken.py"], "error: --config broken.py: SyntaxError: "),
        (["--config", "some.py"], "error: --config some.py: has no CHANNEL, nor "),
        (["--config", "gone.py"], "error: --config gone.py: FileNotFoundError: "),
        (["--step", "-1"], "flag --step"),
        ([], "whole_face.tfrecord: no such TFRecord set"),
    ],
)
def test_mistakes_are_one_line(tmp_path, root, given, message):
    config = (root / "config.py").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(f"{config}HEIGHT = WIDTH = 3\n", encoding="utf-8")
    (tmp_path / "some.py").write_text("HEIGHT = WIDTH = 4\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("HEIGHT =", encoding="utf-8")
    printed = run(tmp_path, "main.py", "--gpu", "-1", *given, code=2)
    assert message in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_ended_anywhere_it_goes_on_to_the_same_bits(tmp_path, ended_by):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    run(tmp_path, "main.py", *arguments(straight, META_ITER=20, SAVE_ITER=10))
    flags = arguments(broken, META_ITER=20, SAVE_ITER=1, KEEP_CHECKPOINTS=2)
    process = subprocess.Popen(command("main.py", *flags), cwd=tmp_path, env=environment(tmp_path))
    while not (broken / "weights" / "Model0" / "model-5.index").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(ended_by)
    assert process.wait() == (-9 if ended_by == signal.SIGKILL else 130)
    printed = run(tmp_path, "main.py", *flags, "--resume")
    assert "going on from" in printed
    ours, expected = (
        tf1_checkpoint.read_checkpoint(place / "weights" / "Model0" / "model-20") for place in (broken, straight)
    )
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    assert len(list((broken / "weights" / "Model0").glob("*.index"))) == 2
    assert not [path for path in (broken / "weights" / "Model0").iterdir() if path.name.startswith(".")]
