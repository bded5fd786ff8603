"""What an album is worth: steps on the faces of all photos beside steps on each photo's own, and beside none.

The validation photos of `held_out.json`, degraded alike within an album, as those of one camera or scan are: three
draws of the training's pipeline, and lossy WebP of one quality. Faces are found in the degraded photo and restored by
faces_lite, as `test.py` does it. Differences are paired, means over the albums are one value a photo, and the standard
errors are over photos.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import flags
from held_out import ROOT, pipeline, read_photo, webp

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli

STEPS = (1, 5)
SEEDS = (0, 1, 2)
METRICS = ("psnr_y", "lpips")

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("pictures", None, "Folder that the names in held_out.json are relative to.", required=True)
    flags.DEFINE_string("output", "results/album.json", "For the measurements.")


def measure_album(bench: tuple, gts: dict[str, np.ndarray], degrade: Callable) -> dict[str, dict[str, dict]]:
    """`{photo: {row: metrics}}`; a row is unadapted, alone or together, and the number of steps."""
    from metaf2n_tf.upscale.album import Album
    from metaf2n_tf.upscale.patches import seed_of

    model, find_faces, measure = bench
    lqs = {name: degrade(gt) for name, gt in gts.items()}
    faces = {name: find_faces.pairs(lq, name) for name, lq in lqs.items()}
    album = Album()
    for name, pairs in faces.items():
        album.add(Path(name), pairs)
    together = list(model.adapt_together(album).trajectory(STEPS))
    found = {}
    for name, lq in lqs.items():
        alone = model.adapt(faces[name], seed=seed_of(0, Path(name))).trajectory(STEPS)
        params = {"unadapted": model.unadapted}
        params |= {f"alone, {steps}": weights for steps, weights in alone}
        params |= {f"together, {steps}": weights for steps, weights in together}
        rgb = np.float32(lq) / np.float32(255)
        found[name] = {"faces": len(faces[name])}
        for row, weights in params.items():
            found[name][row] = measure(model.upscale(rgb, weights), gts[name])
    return found


def measures() -> Callable[[np.ndarray, np.ndarray], dict[str, float]]:
    """`METRICS` of a result against its ground truth, uint8 (H, W, 3) each."""
    import tensorflow as tf

    from metaf2n_tf.metrics.lpips import lpips
    from metaf2n_tf.metrics.psnr import psnr_y

    def measure(result: np.ndarray, gt: np.ndarray) -> dict[str, float]:
        pair = (tf.constant(np.float32(x[None]) / np.float32(255)) for x in (result, gt))
        return {"psnr_y": psnr_y(result, gt), "lpips": float(lpips(*pair)[0])}

    return measure


def differences(albums: list[dict], row: str, other: str, keep: Callable[[dict], bool]) -> str:
    """Means and standard errors over the photos of which `keep` is true in some album."""
    parts = []
    for metric in METRICS:
        values = []
        for name in albums[0]:
            of_one = [one[name][row][metric] - one[name][other][metric] for one in albums if keep(one[name])]
            values += [np.mean(of_one)] if of_one else []
        error = np.std(values, ddof=1) / len(values) ** 0.5
        parts.append(f"{metric} {np.mean(values):+.4f} +- {error:.4f}")
    return f"{row} against {other}, {len(values)} photos: " + ", ".join(parts)


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device("-1")
    from metaf2n_tf.data import files
    from metaf2n_tf.faces.finder import FaceFinder
    from metaf2n_tf.upscale.model import MetaF2N

    listed = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())["validation"]["photos"]
    gts = {name: read_photo(next(Path(args.pictures).glob(f"{name}.*"))) for name in listed}
    bench = MetaF2N("metaf2n-lite"), FaceFinder("mtcnn", "faces_lite"), measures()
    degradations: dict[str, Callable] = {"webp": lambda rgb: webp(rgb, np.random.default_rng(0))}
    degradations |= {f"pipeline_{seed}": lambda rgb, seed=seed: pipeline(rgb, (0, seed)) for seed in SEEDS}
    output, found = Path(args.output), {}
    files.make_folder(output.parent)
    for kind, degrade in degradations.items():
        found[kind] = measure_album(bench, gts, degrade)
        files.write_bytes(output, (json.dumps(found, indent=1) + "\n").encode())
    groups = {"all": lambda photo: True, "with a face": lambda p: p["faces"] > 0, "without": lambda p: not p["faces"]}
    for group, keep in groups.items():
        for steps in STEPS:
            for row, other in (("alone", None), ("together", None), ("together", "alone")):
                against = f"{other}, {steps}" if other else "unadapted"
                print(f"{group}: {differences(list(found.values()), f'{row}, {steps}', against, keep)}")
    return cli.OK


if __name__ == "__main__":
    cli.run(sys.modules[__name__])
