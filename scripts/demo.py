"""`make demo`: the sample photo through the published commands, then a table, a comparison picture and a report.

Faces are found and restored, the shipped network is adapted for 0 and 1 steps, and each result is measured against the
ground truth, beside Real-ESRGAN x4plus and the control, the same network trained plainly. Everything lands in
results/demo.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf.data import images  # noqa: E402

SAMPLE, OUT = ROOT / "datasets" / "sample", ROOT / "results" / "demo"
LITE = "metaf2n-lite"
OTHERS = {"x4plus": "realesrgan-x4plus", "control": ROOT / "benchmarks" / "control.npz"}
NAME = "grace_hopper.png"
METRICS = {"psnr_y": "10.2f", "ssim_y": "10.4f", "lpips": "10.4f", "niqe_pyiqa": "12.3f"}
STEPS = (0, 1)
ZOOMS = {"face": (slice(160, 320), slice(160, 320)), "flag": (slice(0, 160), slice(0, 160))}
TITLE_HEIGHT = 28


def command(script: str, *arguments: str | Path) -> None:
    """Run one of the project's commands and show it."""
    shown = " ".join(str(argument).replace(f"{ROOT}/", "") for argument in arguments)
    print(f"\n$ python {script} {shown}", flush=True)
    subprocess.run([sys.executable, script, *map(str, arguments)], cwd=ROOT, check=True)


def measured(folder: Path) -> dict[str, dict[str, float]]:
    """`{picture: its metrics}` of the one photo whose results are there."""
    return json.loads((folder / "results.jsonl").read_text(encoding="utf-8"))["metrics"]


def titled(rgb: np.ndarray, title: str) -> np.ndarray:
    """A picture with a line of text above it."""
    bar = np.full((TITLE_HEIGHT, rgb.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, title, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([bar, rgb])


def comparison(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """One column a picture: the whole of it, then the zooms, enlarged pixel by pixel."""
    columns = []
    for title, rgb in pictures.items():
        side = rgb.shape[0]
        zooms = [
            cv2.resize(rgb[part], (side // 2, side // 2), interpolation=cv2.INTER_NEAREST) for part in ZOOMS.values()
        ]
        columns.append(titled(np.vstack([rgb, np.hstack(zooms)]), title))
    return np.hstack(columns)


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    photos = ("--input_dir", SAMPLE / "LQ")
    # What runs everywhere, so that the figures are the same everywhere, whatever weights there are.
    tools = ("--detector", "mtcnn", "--restorer", "faces_lite")
    command("generate_test_faces.py", *photos, "--output_dir", OUT, *tools, "--preview")
    common = (*photos, "--report", "--gt_dir", SAMPLE / "GT", "--overwrite")
    steps = ("--fine_tune_num", ",".join(map(str, STEPS)))
    command("test.py", *common, "--face_dir", OUT, "--output_dir", OUT / "Res", "--model_dir", LITE, *steps)
    for name, weights in OTHERS.items():
        command("test.py", *common, "--output_dir", OUT / name, "--model_dir", weights, "--fine_tune_num", 0)

    rows = measured(OUT / "Res")
    rows = {"bicubic": rows.pop("LQ, bicubic"), **{name: measured(OUT / name)["unadapted"] for name in OTHERS}, **rows}
    print("\n" + " " * 14 + "".join(f"{name:>{form.split('.')[0]}}" for name, form in METRICS.items()))
    for title, values in rows.items():
        print(f"{title:14}" + "".join(f"{values[name]:{form}}" for name, form in METRICS.items()))

    gt, lq = images.read_rgb8(SAMPLE / "GT" / NAME), images.read_rgb8(SAMPLE / "LQ" / NAME)
    size = gt.shape[1::-1]
    pictures = {
        "LQ": cv2.resize(lq, size, interpolation=cv2.INTER_NEAREST),
        "bicubic": cv2.resize(lq, size, interpolation=cv2.INTER_CUBIC),
        **{name: images.read_rgb8(OUT / name / NAME) for name in OTHERS},
        **{f"steps {n}": images.read_rgb8(OUT / "Res" / f"steps_{n}" / NAME) for n in STEPS},
        "GT": gt,
    }
    images.write_rgb8(OUT / "comparison.png", comparison(pictures))
    for what in (OUT / "comparison.png", OUT / "Res" / "report.html"):
        print(f"\n{what.relative_to(ROOT)}", end="")
    print(f"   ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
