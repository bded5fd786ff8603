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


# Two tasks of a meta-batch, which are computed one after another: four are as large.
META_STEP = (
    "import sys\n"
    "sys.path.insert(0, 'benchmarks')\n"
    "from training_workload import *\n"
    "import tensorflow as tf\n"
    "from metaf2n_tf import runtime\n"
    "from metaf2n_tf.data.meta_batches import MetaBatch\n"
    "from metaf2n_tf.meta.meta_step import MetaStep, initial_state\n"
    "from metaf2n_tf.meta.method import Method\n"
    "runtime.select_device('-1')\n"
    "weights = {name: tf.constant(value) for name, value in real_weights(1).items()}\n"
    "compact = load_weights('pretrained_models/metaf2n_lite.npz')\n"
    "arrays = {name: tf.constant(value) for name, value in cut_meta_batch(2, 4, 128, 256).items()}\n"
    "method = Method(2, 1e-2, 1, meta_lr=3e-5, discriminator_lr=1e-4)\n"
    "step = MetaStep(method, perceptual(weights), xla=False)\n"
    "state = initial_state(compact.sr | compact.mask, discriminator_of(weights))\n"
    "for number in range(2):\n"
    "    batch = MetaBatch(**arrays, labela_gt=arrays['labela'])\n"
    "    state, report = step.compiled(state, batch, tf.constant(number))\n"
    "assert all(map(tf.math.is_finite, report.losses.outer))\n"
)


@pytest.mark.slow
def test_meta_training_of_the_compact_network_at_the_published_sizes_stays_under_8_gb(root):
    assert peak_gigabytes([sys.executable, "-c", META_STEP], root) < 8


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "most"), [("metaf2n-lite", 1.2), ("weights/realesrgan-x4plus.npz", 2.3)])
def test_a_megapixel_photo_stays_small(tmp_path, root, weights, most):
    """About ten minutes on 2 cores with x4plus: 37 faces found, one step, 1024x1024 LQ pixels.

    The compact network fails this on CPUs with oneDNN, with 1.6 GB: the package of MTCNN takes 0.55 GB for so many.
    """
    gt = cv2.imread(str(root / "datasets" / "sample" / "GT" / "grace_hopper.png"))
    (tmp_path / "LQ").mkdir()
    canvas = cv2.copyMakeBorder(gt[::4, ::4], 0, 896, 0, 896, cv2.BORDER_REFLECT)
    cv2.imwrite(str(tmp_path / "LQ" / "large.png"), canvas)
    command = [sys.executable, "test.py", "--input_dir", tmp_path / "LQ", "--output_dir", tmp_path / "out"]
    command += ["--model_dir", weights, "--gpu", "-1"]
    assert peak_gigabytes(command, root) < most
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
