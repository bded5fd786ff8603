"""What the published crops' shift of 1.5 HQ pixels does to the adapted photo.

  python benchmarks/registration.py    # 5 minutes on 2 CPU cores

A perfect restorer stands in for GPEN: it gives the ground truth of the aligned face. The sample photo is adapted to
such faces, once cut in their place and once cut as the published script does, and compared with its ground truth.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from phase import displacement  # noqa: E402

from metaf2n_tf import runtime  # noqa: E402

runtime.import_tensorflow()
runtime.select_device(None)

from metaf2n_tf.data import images  # noqa: E402
from metaf2n_tf.faces import align, detect  # noqa: E402
from metaf2n_tf.faces.restorers.aligned import restore_aligned  # noqa: E402
from metaf2n_tf.metrics.psnr import psnr_y  # noqa: E402
from metaf2n_tf.networks.rrdbnet import SCALE  # noqa: E402
from metaf2n_tf.tiles import SuperResolver  # noqa: E402
from metaf2n_tf.upscale.adaptation import Adaptation, Adapter  # noqa: E402
from metaf2n_tf.upscale.patches import sample_patches  # noqa: E402
from metaf2n_tf.weights.load import load_weights  # noqa: E402

SAMPLE, NAME = ROOT / "datasets" / "sample", "grace_hopper.png"
STEPS, RATES = (0, 1, 3, 10), (1e-3, 3e-3, 1e-2)
SIZE = 512


def main() -> None:
    """Print PSNR-Y of the photo, and the pixels by which it lies right of and below the ground truth."""
    lq, gt = images.read_rgb8(SAMPLE / "LQ" / NAME), images.read_rgb8(SAMPLE / "GT" / NAME)
    faces = detect.detect_faces(detect.DETECTORS["mtcnn"].build(), lq)
    offset = -(SCALE - 1) / 2 / SCALE  # the first GT pixel's centre in LQ pixels

    def ground_truth(_squares: np.ndarray) -> np.ndarray:
        squares = []
        for face in faces:
            forward, _ = align.fit_face(face.landmarks, SIZE)
            matrix = np.column_stack([forward[:, :2] / SCALE, forward @ [offset, offset, 1]])
            squares.append(cv2.warpAffine(gt, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR))
        return np.stack(squares)

    adapter = Adapter(load_weights(ROOT / "weights" / "realesrgan-x4plus.npz"), xla=False)
    resolver, rgb = SuperResolver(), np.float32(lq) / 255
    print(f"{'task_lr':>8}{'crops':>12}" + "".join(f"{f'{n} steps':>18}" for n in STEPS))
    for rate in RATES:
        for crops in ("registered", "published"):
            found = restore_aligned(ground_truth, SIZE, crops == "published")(lq, faces, None)
            pairs = [(item.lq, item.hq) for item in found]
            adaptation = Adaptation(adapter, sample_patches(pairs, 64, 16, np.random.default_rng(0)), rate)
            row = f"{rate:8g}{crops:>12}"
            for _, params in adaptation.trajectory(list(STEPS)):
                picture = resolver(params, rgb, 8)
                moved = np.mean(displacement(picture, gt, highest=0.04))
                row += f"{psnr_y(picture, gt):9.2f} dB{moved:+6.2f}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
