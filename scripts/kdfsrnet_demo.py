"""`make kdfsrnet-demo`: does a student of KDFSRNet gain from its teacher? A small answer, on two CPU cores.

Faces: the 100 of scikit-image's subset of LFW, 25 pixels wide, grey, enlarged to 48; 80 of them, each jittered a few
times, train, the other 20 measure. No parsing network can be fetched without a person: parsing maps are drawn from the
68 landmarks of a face mesh. A narrow teacher is trained, then, for each seed, the same narrow student twice, from the
same weights and on the same faces in the same order: with the teacher and without. They are measured where the teacher
leaves, after the published 11 epochs, and after as many again. Everything lands in results/kdfsrnet_demo.
"""

import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf import runtime  # noqa: E402

runtime.import_tensorflow()
runtime.select_device("-1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from demo import command  # noqa: E402
from skimage.data import lfw_subset  # noqa: E402

from metaf2n_tf.data import files  # noqa: E402
from metaf2n_tf.data.images import read_rgb8, write_rgb8  # noqa: E402
from metaf2n_tf.distillation.faces import make_lq  # noqa: E402
from metaf2n_tf.distillation.losses import LAST_EPOCH  # noqa: E402
from metaf2n_tf.distillation.settings import NO_TEACHER, Settings  # noqa: E402
from metaf2n_tf.distillation.trainer import Scores, Trainer, mean_scores  # noqa: E402
from metaf2n_tf.faces.exemplars.landmarks import Landmarker  # noqa: E402
from metaf2n_tf.weights import catalogue  # noqa: E402

OUT = ROOT / "results" / "kdfsrnet_demo"
FACES, TRAINING, VARIANTS = 100, 80, 3  # faces, how many of them train, jittered copies of each of those
SIDE, SCALE, WIDTH, BLOCKS, RATE = 48, 8, 16, 2, 1e-3
TEACHER_EPOCHS, STUDENT_EPOCHS = 30, (LAST_EPOCH + 1, 2 * (LAST_EPOCH + 1))
SEEDS = (0, 1, 2)
_LOOK, _RIM = 256, 96  # pixels to which a face is enlarged for the landmarks, and around it


def find_landmarks(landmarker: Landmarker, face: np.ndarray) -> np.ndarray:
    """float64 (68, 2), in pixels of the uint8 (S, S, 3) face."""
    large = cv2.resize(face, (_LOOK, _LOOK), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, *[_RIM] * 4, cv2.BORDER_REPLICATE)
    points, _ = landmarker.find(large)
    return (points - _RIM + 0.5) * len(face) / _LOOK - 0.5


def draw_parsing_map(points: np.ndarray) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3) of (68, 2) landmarks: skin, eyebrows, eyes, nose, lips and mouth, each in its colour."""
    brow_height = points[27] - points[33]  # up the nose
    forehead = points[17:27] + 0.6 * brow_height
    brows = [np.vstack([points[part], points[part] + 0.12 * brow_height]) for part in (slice(17, 22), slice(22, 27))]
    parts = [
        (np.vstack([points[:17], forehead]), (255, 128, 0)),
        *((brow, (0, 128, 255)) for brow in brows),
        *((points[part], (0, 255, 0)) for part in (slice(36, 42), slice(42, 48))),
        (points[[27, 31, 32, 33, 34, 35]], (255, 0, 255)),
        (points[48:60], (255, 0, 0)),
        (points[60:68], (255, 255, 255)),
    ]
    drawn = np.zeros((SIDE, SIDE, 3), np.uint8)
    for outline, colour in parts:
        cv2.fillConvexPoly(drawn, cv2.convexHull(np.int32(np.rint(outline))), colour)
    return drawn


def place(rng: np.random.Generator | None, side: int) -> np.ndarray:
    """(2, 3): from a face of `side` pixels to one of SIDE; with a generator a little turned, moved, scaled, flipped."""
    scale, angle, shift, mirror = SIDE / side, 0.0, np.zeros(2), 1
    if rng is not None:
        scale *= rng.uniform(0.95, 1.15)
        angle, shift, mirror = rng.uniform(-0.15, 0.15), rng.uniform(-2, 2, 2), rng.choice([-1, 1])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([mirror, 1])
    middle = np.full(2, (side - 1) / 2)
    return np.column_stack([turn, (SIDE - 1) / 2 + shift - turn @ middle])


def write_faces() -> None:
    """Folders of faces and parsing maps, to train on and to measure with."""
    landmarker, rng = Landmarker(catalogue.find("face-mesh")), np.random.default_rng(0)
    for index, grey in enumerate(np.uint8(np.rint(255 * lfw_subset()[:FACES]))):
        face = np.dstack([grey] * 3)
        points = find_landmarks(landmarker, face)
        training = index < TRAINING
        for variant in range(VARIANTS if training else 1):
            matrix = place(rng if training else None, len(face))
            hq = cv2.warpAffine(face, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            drawn = draw_parsing_map(points @ matrix[:, :2].T + matrix[:, 2])
            for what, picture in (("HR", hq), ("parsing", drawn)):
                path = OUT / ("train" if training else "val") / what / f"{index:03}_{variant}.png"
                files.make_folder(path.parent)
                write_rgb8(path, picture)


def train(stage: str, name: str, seed: int, epochs: int, teacher: str | None = None) -> Scores:
    """Train a network by the command up to so many epochs in all, and measure it."""
    values = {
        "stage": stage,
        "data": OUT / "train" / "whole_face.tfrecord",
        "val": OUT / "val" / "whole_face.tfrecord",
        "output_dir": OUT / name,
        "scale": SCALE,
        "epochs": epochs,
        "lr": RATE,
        "seed": seed,
        "width": WIDTH,
        "blocks": BLOCKS,
        "keep_checkpoints": 1,
    } | ({"teacher": teacher} if teacher else {})
    arguments = [argument for flag, value in values.items() for argument in (f"--{flag}", value)]
    command("scripts/train_kdfsrnet.py", *arguments, "--resume", "--gpu", "-1")
    texts = {name: str(value) for name, value in values.items() if isinstance(value, Path)}
    return Trainer(Settings(**values | texts, resume=True)).measure()


def measure_lq() -> Scores:
    """The LQ faces themselves: bicubic enlargement."""
    hq = [read_rgb8(path) for path in sorted((OUT / "val" / "HR").iterdir())]
    return mean_scores([(face, make_lq(face, SCALE)) for face in hq])


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    write_faces()
    for part in ("train", "val"):
        inputs = ("--face_input", OUT / part / "HR", "--parsing_dir", OUT / part / "parsing", "--face_size", SIDE)
        command("scripts/generate_tfrecord.py", *inputs, "--output_dir", OUT / part)
    teacher = train("teacher", "teacher", 0, TEACHER_EPOCHS)
    results = {epochs: [] for epochs in STUDENT_EPOCHS}
    for seed in SEEDS:
        for epochs in STUDENT_EPOCHS:
            alone = train("student", f"student_{seed}_alone", seed, epochs, NO_TEACHER)
            taught = train("student", f"student_{seed}_taught", seed, epochs, str(OUT / "teacher"))
            results[epochs].append([alone.psnr, taught.psnr, alone.ssim, taught.ssim])

    print(f"\n{FACES - TRAINING} faces that were not trained on, x{SCALE} to {SIDE} pixels, on Y:")
    for name, scores in (("bicubic", measure_lq()), ("teacher (sees parsing maps)", teacher)):
        print(f"{name:28} PSNR {scores.psnr:.3f}  SSIM {scores.ssim:.4f}")
    for epochs, rows in results.items():
        show(epochs, np.array(rows))
    print(f"\n{OUT.relative_to(ROOT)}   ({time.monotonic() - began:.0f} s)")


def show(epochs: int, rows: np.ndarray) -> None:
    """Print the students after so many epochs: PSNR alone and taught, SSIM alone and taught, a row a seed."""
    print(f"\nstudent after {epochs} epochs")
    print(f"{'':8}{'PSNR alone':>12}{'taught':>10}{'gain':>10}{'SSIM alone':>14}{'taught':>10}{'gain':>10}")
    table = np.column_stack([rows[:, :2], rows[:, 1] - rows[:, 0], rows[:, 2:], rows[:, 3] - rows[:, 2]])
    named = dict(zip((f"seed {seed}" for seed in SEEDS), table, strict=True))
    named |= {"mean": table.mean(axis=0), "std": table.std(axis=0, ddof=1)}
    for name, row in named.items():
        psnr, ssim = row[:3], row[3:]
        print(f"{name:8}{psnr[0]:12.3f}{psnr[1]:10.3f}{psnr[2]:10.3f}{ssim[0]:14.4f}{ssim[1]:10.4f}{ssim[2]:10.4f}")


if __name__ == "__main__":
    main()
