"""Speed, memory and agreement of calculate_metrics.py, with the published way run beside it.

  python benchmarks/metrics.py --torch_python PYTHON    # about 9 minutes on 2 CPU cores

The baseline, benchmarks/published_metrics.py, names the packages that its interpreter must have. Both get the same
pictures and weights; those of Inception are drawn as the tests draw them, which changes neither arithmetic nor time,
but makes the FID mean nothing. SSIM and the PSNR in the right channel order are ours only; the whole command includes
them. Peak memory is that of the largest process: the baseline's 8 FID workers come on top.
Ours and the baseline run in turn, twice; seconds are the least of what was seen, over pictures too.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags
from children import in_child, measured

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "golden")]

CASES = {"12 pictures of 512x512": (12, 512), "3 pictures of 2048x2048": (3, 2048)}
PARTS = {
    "reading, s a pair": "reading",
    "PSNR as published, s": "psnr",
    "PSNR and SSIM, s": "psnr ssim",
    "LPIPS, s": "lpips",
    "NIQE, s": "niqe",
    "FID features, read too, s": "fid features",
    "Frechet distance, s": "frechet",
}
COMPARED = ("psnr_y_published", "lpips", "niqe_pyiqa")
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"
RUNS = 3
ROUNDS = 2

flags.DEFINE_string("torch_python", sys.executable, "Python interpreter that has the published script's packages.")


def write_weights(folder: Path) -> None:
    """The weights that the baseline turns into files of its own."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    from inception_weights import inception_state_dict

    from metaf2n_tf.metrics import niqe
    from metaf2n_tf.networks import alexnet
    from metaf2n_tf.weights.lpips import WEIGHTS, load_lpips

    ours = load_lpips(ROOT / WEIGHTS)
    state = {}
    for index, layer in enumerate((0, 3, 6, 8, 10)):  # places of the convolutions in torchvision's AlexNet
        name = f"{alexnet.SCOPE}/Conv_{index}"
        state[f"features.{layer}.weight"] = np.ascontiguousarray(ours[f"{name}/kernel"].transpose(3, 2, 0, 1))
        state[f"features.{layer}.bias"] = ours[f"{name}/bias"]
    np.savez(folder / "alexnet.npz", **state)
    np.savez(folder / "inception.npz", **inception_state_dict())
    np.savez(folder / "niqe.npz", **niqe.load_niqe(ROOT / niqe.WEIGHTS))


def write_pictures(folder: Path, count: int, side: int) -> None:
    """Crops of a photo with grain for ground truths, their blurred and noisy selves for results."""
    import cv2

    from metaf2n_tf.data import images

    rng = np.random.default_rng(side)
    photo = images.read_rgb8(ROOT / "datasets" / "sample" / "GT" / "grace_hopper.png")
    photo = cv2.resize(photo, (side * 5 // 4, side * 5 // 4), interpolation=cv2.INTER_CUBIC)

    def write(kind: str, index: int, picture: np.ndarray, noise: float) -> np.ndarray:
        levels = np.clip(np.rint(picture + rng.normal(0, noise, picture.shape)), 0, 255).astype(np.uint8)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        images.write_rgb8(folder / kind / f"{index:03}.png", levels)
        return levels

    for index in range(count):
        top, left = rng.integers(0, side // 4, 2)
        gt = write("GT", index, photo[top:, left:][:side, :side], 4)
        small = cv2.resize(gt, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
        write("results", index, cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), 2)


def measure_parts(folder: Path) -> None:
    """Seconds of our parts, one after the other, to FOLDER/parts.json; the command measures pictures in threads."""
    os.environ["TQDM_DISABLE"] = "1"
    began = time.monotonic()
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device("-1")
    import tensorflow as tf

    from metaf2n_tf.data import images
    from metaf2n_tf.metrics import fid, niqe, psnr, ssim
    from metaf2n_tf.networks import alexnet, lpips
    from metaf2n_tf.weights.inception import load_inception
    from metaf2n_tf.weights.lpips import WEIGHTS, load_lpips

    params = {name: tf.constant(value) for name, value in load_lpips(WEIGHTS).items()}
    pristine, network = niqe.load_niqe(niqe.WEIGHTS), load_inception(fid.WEIGHTS)
    seconds = {"start-up": [time.monotonic() - began]}

    def timed(part: str, function: Callable, *arguments: object) -> object:
        began = time.monotonic()
        result = function(*arguments)
        seconds.setdefault(part, []).append(time.monotonic() - began)
        return result

    paths = {kind: sorted((folder / kind).iterdir()) for kind in ("results", "GT")}
    for pair in zip(paths["results"], paths["GT"], strict=True):
        result, gt = timed("reading", lambda pair=pair: [images.read_rgb8(path) for path in pair])
        timed("psnr", psnr.psnr_y_published, result, gt)
        timed("psnr ssim", lambda x=result, y=gt: (psnr.psnr_y(x, y), ssim.ssim_y(x, y)))
        floats = [np.float32(x[None]) / np.float32(255) for x in (result, gt)]
        timed("lpips", lambda pair=floats: float(lpips.distance(params, *pair, pool=alexnet.max_pool)[0]))
        timed("niqe", niqe.niqe, result, pristine)
    moments = []
    for kind in paths.values():
        moments += timed("fid features", fid.picture_statistics, kind, network)[:2]
    timed("frechet", fid.frechet_distance, *moments)
    (folder / "parts.json").write_text(json.dumps({"seconds": seconds}))


def write_moments(folder: Path) -> None:
    """Two full-rank distributions of 2048 features whose spectra fall off, as Inception's do."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name in ("a", "b"):
        mixing = rng.normal(size=(2048, 2048)) * np.linspace(1, 0.02, 2048) ** 2
        rows = rng.normal(size=(3000, 2048)) @ mixing.T / 30 + rng.normal(size=2048) / 10
        arrays |= {f"mean_{name}": rows.mean(axis=0), f"cov_{name}": np.cov(rows, rowvar=False)}
    np.savez(folder / "moments.npz", **arrays)


def our_frechet(folder: Path) -> None:
    """Distance and least seconds of the Frechet distance to FOLDER/frechet.json."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    from metaf2n_tf.metrics import fid

    with np.load(folder / "moments.npz") as arrays:
        moments = [arrays[name] for name in ("mean_a", "cov_a", "mean_b", "cov_b")]
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        distance = fid.frechet_distance(*moments)
        seconds.append(time.monotonic() - began)
    (folder / "frechet.json").write_text(json.dumps([distance, min(seconds)]))


def row(title: str, ours: float | None, other: float | None, digits: int = 3) -> None:
    """A line of the table; a part that one of them has not is "-"."""
    cells = [f"{'-' if x is None else format(x, f'.{digits}f'):>12}" for x in (ours, other)]
    ratio = f"{ours / other:.2f}" if ours is not None and other is not None else ""
    print(f"{title:40}{''.join(cells)}{ratio:>8}", flush=True)


def least(runs: list[dict], part: str) -> float | None:
    """Least seconds of a part, over pictures and runs; None where there is no such part."""
    return min((seconds for run in runs for seconds in run["seconds"].get(part, [])), default=None)


def compare_values(mine: dict, theirs: dict, rows: dict[str, dict[str, float]]) -> None:
    """Means of both and, of the pictures, the largest difference."""
    print(f"{'values':40}{'ours':>12}{'published':>12}{'largest difference':>20}")
    for metric in COMPARED:
        expected = {name: values[metric] for name, values in theirs["pictures"].items()}
        largest = max(abs(float(rows[name][metric]) - value) for name, value in expected.items())
        mean = statistics.fmean(expected.values())
        print(f"{metric:40}{mine['metrics'][metric]['mean']:12.5f}{mean:12.5f}{largest:20.1e}")
    fid = mine["metrics"]["fid"]["mean"]
    print(f"{'fid':40}{fid:12.5f}{theirs['fid']:12.5f}{abs(fid - theirs['fid']):20.1e}", flush=True)


def compare_case(torch_python: str, title: str, count: int, side: int) -> None:
    """Whole commands, parts and values on the same pictures."""
    folder = Path(f"case{side}").absolute()
    in_child(write_pictures, folder, count, side)
    command = [sys.executable, str(ROOT / "calculate_metrics.py"), "--gpu", "-1", "--output_dir", str(folder)]
    for flag, kind in (("result_dir", "results"), ("gt_dir", "GT"), ("fid_ref_dir", "GT")):
        command += [f"--{flag}", str(folder / kind)]
    script = str(ROOT / "benchmarks" / "published_metrics.py")
    baseline = [torch_python, script, "metrics", str(folder)]
    wholes, parts, theirs = [], [], []
    for _ in range(ROUNDS):
        for kept in folder.glob("*.fid-*.npz"):
            kept.unlink()
        wholes.append([measured(arguments)[:2] for arguments in (command, command, baseline)])
        in_child(measure_parts, folder)
        parts.append(json.loads((folder / "parts.json").read_text()))
        theirs.append(json.loads((folder / "published.json").read_text()))
    turns = list(zip(*wholes, strict=True))
    first, again, published = (min(seconds for seconds, _ in turn) for turn in turns)
    memory, their_memory = (max(peak for _, peak in turns[index]) for index in (0, 2))

    print(f"\n{title:40}{'ours':>12}{'published':>12}{'ratio':>8}")
    row("whole command, s", first, published, 1)
    row("again, ours keeps the reference's FID, s", again, published, 1)
    row("peak memory, GB", memory, their_memory, 2)
    row(
        "start-up and weights, s",
        *(min(sum(run["seconds"]["start-up"]) for run in runs) for runs in (parts, theirs)),
        1,
    )
    for name, part in PARTS.items():
        figures = [least(runs, part) for runs in (parts, theirs)]
        if part == "fid features":
            figures = [seconds / count for seconds in figures]
        row(name, *figures)
    with (folder / "metrics.csv").open() as stream:
        names, *lines = [line.strip().split(",") for line in stream]
    rows = {line[0]: dict(zip(names[1:], line[1:], strict=True)) for line in lines}
    compare_values(json.loads((folder / "metrics.json").read_text()), theirs[-1], rows)


def compare_frechet(torch_python: str) -> None:
    """Symmetric eigenvalues beside scipy.linalg.sqrtm."""
    folder = Path.cwd()
    in_child(write_moments, folder)
    in_child(our_frechet, folder)
    ours, seconds = json.loads((folder / "frechet.json").read_text())
    script = str(ROOT / "benchmarks" / "published_metrics.py")
    printed = measured([torch_python, script, "frechet", str(folder)])[2]
    other, their_seconds = map(float, printed.split()[-2:])
    print(f"\n{'Frechet distance, full rank':40}{'ours':>12}{'published':>12}{'ratio':>8}")
    row("seconds", seconds, their_seconds, 2)
    row("distance", ours, other, 6)


def main(_: list[str]) -> None:
    """Prepare the weights and measure everything."""
    torch_python = flags.FLAGS.torch_python
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # where calculate_metrics.py looks for weights/
        folder = Path(scratch)
        os.environ["TORCH_HOME"] = str(folder / "torch")
        in_child(write_weights, folder)
        measured([torch_python, str(ROOT / "benchmarks" / "published_metrics.py"), "prepare", scratch])
        (folder / "weights").mkdir()
        for name in ("lpips-alex.npz", "niqe_pris_params.npz"):
            (folder / "weights" / name).symlink_to(ROOT / "weights" / name)
        (folder / "weights" / INCEPTION).symlink_to(folder / "torch" / "hub" / "checkpoints" / INCEPTION)
        for title, case in CASES.items():
            compare_case(torch_python, title, *case)
        compare_frechet(torch_python)
        os.chdir(ROOT)


if __name__ == "__main__":
    app.run(main)
