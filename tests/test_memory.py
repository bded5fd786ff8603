"""Memory of a whole run, measured from outside."""

import json
import subprocess
import sys

import cv2
import pytest

# A process starts with its parent's peak memory, so a small one does the measuring.
LAUNCHER = (
    "import json, os, subprocess, sys\n"
    "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    "_, status, usage = os.wait4(process.pid, 0)\n"
    "print(json.dumps([status, usage.ru_maxrss / 1e6]))"
)


@pytest.mark.slow
def test_a_megapixel_photo_stays_under_4_gb(tmp_path, root):
    """About ten minutes on 2 cores: faces found, one step, 1024x1024 LQ pixels."""
    gt = cv2.imread(str(root / "datasets" / "sample" / "GT" / "grace_hopper.png"))
    (tmp_path / "LQ").mkdir()
    canvas = cv2.copyMakeBorder(gt[::4, ::4], 0, 896, 0, 896, cv2.BORDER_REFLECT)
    cv2.imwrite(str(tmp_path / "LQ" / "large.png"), canvas)
    command = [sys.executable, "test.py", "--input_dir", tmp_path / "LQ", "--output_dir", tmp_path / "out"]
    command += ["--model_dir", "weights/realesrgan-x4plus.npz", "--gpu", "-1"]
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *map(str, command)], cwd=root, capture_output=True, text=True, check=True
    )
    status, peak = json.loads(done.stdout)
    assert status == 0
    assert cv2.imread(str(tmp_path / "out" / "large.png")).shape == (4096, 4096, 3)
    assert peak < 4
