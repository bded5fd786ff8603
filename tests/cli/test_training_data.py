"""scripts/generate_tfrecord.py and scripts/preview_meta_batch.py as a user runs them."""

import json
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest
from commands import command, environment, run

from metaf2n_tf.data import images

SCRIPT = "scripts/generate_tfrecord.py"
SMALL = ("--background_size", 96, "--stride", 48, "--face_size", 80)


def write_pictures(folder, count, side=192):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        small = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        images.write_rgb8(folder / f"{index:03}.png", cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_pictures(home / "pictures", 6)
    return home


def test_both_sets_are_made_checked_and_looked_at(home):
    sources = ("--background_input", "pictures", "--face_input", "pictures/*.png")
    printed = run(home, SCRIPT, *sources, *SMALL, "--output_dir", "sets", "--num_shards", 2)
    assert "sets/back96.tfrecord: 54 squares of 96x96 pixels, in 2 file(s)" in printed
    assert "sets/whole_face.tfrecord: 6 squares of 80x80 pixels, in 2 file(s)" in printed
    names = ("sets/back96.tfrecord", "sets/whole_face.tfrecord")
    printed = run(home, SCRIPT, "--verify", names[0], "--verify", names[1])
    assert printed.count("every CRC right, as its .json says") == 2
    assert images.read_rgb8(home / "sets" / "back96.png").std() > 20
    preview = ("--backgrounds", names[0], "--faces", names[1], "--output", "batch.png", "--restorer")
    printed = run(home, "scripts/preview_meta_batch.py", *preview, "gpen_256", code=2)
    assert "weights/GPEN-BFR-256.pth. Remedy" in printed
    printed = run(home, "scripts/preview_meta_batch.py", *preview, "none", code=2)
    assert "face patches of 128 pixels: must be a multiple of 4 and at most 80" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to do: give --background_input, --face_input or both"),
        (("--background_input", "nowhere"), "nowhere: no pictures there"),
        (("--background_input", "pictures", "--num_shards", "0"), "num_shards"),
        (("--background_input", "pictures", "--output_dir", "pictures/000.png"), "cannot make this folder"),
        (("--verify", "nothing.tfrecord"), "nothing.tfrecord: no such TFRecord set"),
        (("pictures",), "unexpected argument 'pictures'"),
    ],
)
def test_mistakes_are_one_line(home, arguments, message):
    printed = run(home, SCRIPT, *arguments, code=2)
    assert message in printed
    assert printed.strip().count("\n") == 0


def test_a_killed_run_goes_on_where_it_was(home):
    write_pictures(home / "many", 60, side=768)
    arguments = ("--background_input", "many", *SMALL, "--num_shards", "6", "--workers", "2", "--output_dir")
    process = subprocess.Popen(
        command(SCRIPT, *arguments, "killed"), cwd=home, env=environment(home), stderr=subprocess.DEVNULL
    )
    manifest = home / "killed" / "back96.json"
    deadline = time.monotonic() + 60
    while not (manifest.exists() and json.loads(manifest.read_text())["shards"]) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = [shard["file"] for shard in json.loads(manifest.read_text())["shards"]]
    assert 1 <= len(finished) < 6
    times = {name: (home / "killed" / name).stat().st_mtime_ns for name in finished}
    run(home, SCRIPT, *arguments, "killed")
    run(home, SCRIPT, *arguments, "straight")
    assert {name: (home / "killed" / name).stat().st_mtime_ns for name in finished} == times
    killed, straight = (sorted((home / name).iterdir()) for name in ("killed", "straight"))
    assert [path.name for path in killed] == [path.name for path in straight]
    assert len(killed) == 7
    for one, other in zip(killed, straight, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_picture_above_the_limit_comes_with_the_flag_that_raises_it(tmp_path):
    write_pictures(tmp_path / "large", 1, side=1016)
    write_pictures(tmp_path / "small", 1)
    arguments = ("--background_input", "large", "--background_input", "small", *SMALL, "--output_dir", "out")
    reason = "large/000.png: 1016x1016 pixels are more than --max_megapixels 1. Remedy: --max_megapixels 2, where there"
    for _ in range(2):  # a finished set says again what it lacks
        assert f"skipped: {reason}" in run(tmp_path, SCRIPT, *arguments, "--max_megapixels", 1, code=1)
    described = json.loads((tmp_path / "out" / "back96.json").read_text())
    assert described["shards"][0]["unusable"]["large/000.png"].startswith(reason)
