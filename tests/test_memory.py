"""Memory of a whole run, measured from outside."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from face_weights import gpen_state_dict
from torch_file import write_pth

# A process starts with its parent's peak memory, so a small one does the measuring.
LAUNCHER = (
    "import json, os, subprocess, sys\n"
    "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    "_, status, usage = os.wait4(process.pid, 0)\n"
    "print(json.dumps([status, usage.ru_maxrss / 1e6]))"
)


def peak_gigabytes(command, cwd):
    """Run a command; its peak memory."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *map(str, command)], cwd=cwd, capture_output=True, text=True, check=True
    )
    status, peak = json.loads(done.stdout)
    assert status == 0
    return peak


@pytest.mark.slow
def test_a_megapixel_photo_stays_under_4_gb(tmp_path, root):
    """About ten minutes on 2 cores: faces found, one step, 1024x1024 LQ pixels."""
    gt = cv2.imread(str(root / "datasets" / "sample" / "GT" / "grace_hopper.png"))
    (tmp_path / "LQ").mkdir()
    canvas = cv2.copyMakeBorder(gt[::4, ::4], 0, 896, 0, 896, cv2.BORDER_REFLECT)
    cv2.imwrite(str(tmp_path / "LQ" / "large.png"), canvas)
    command = [sys.executable, "test.py", "--input_dir", tmp_path / "LQ", "--output_dir", tmp_path / "out"]
    command += ["--model_dir", "weights/realesrgan-x4plus.npz", "--gpu", "-1"]
    assert peak_gigabytes(command, root) < 4
    assert cv2.imread(str(tmp_path / "out" / "large.png")).shape == (4096, 4096, 3)


@pytest.mark.slow
def test_thirty_faces_through_the_published_restorer_stay_under_3_gb(tmp_path, root, sample_lq):
    """GPEN-512 at its full size, untrained."""
    for folder in ("LQ", "weights"):
        (tmp_path / folder).mkdir()
    write_pth(tmp_path / "weights" / "GPEN-BFR-512.pth", gpen_state_dict("gpen512"))
    cv2.imwrite(str(tmp_path / "LQ" / "group.png"), np.tile(cv2.imread(str(sample_lq))[20:100, 24:104], (5, 6, 1)))
    command = [sys.executable, root / "generate_test_faces.py", "--input_dir", "LQ", "--output_dir", "faces"]
    command += ["--detector", "mtcnn", "--gpu", "-1"]
    assert peak_gigabytes(command, tmp_path) < 3
    assert len(list((tmp_path / "faces" / "Face_HQ").glob("group_*.png"))) == 30
