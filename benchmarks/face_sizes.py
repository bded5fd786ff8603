"""What faces_lite makes of faces of several sizes, beside bicubic, realesr-general and x4plus.

The faces are those of one part of held_out.json, persons never trained on, reduced to each size and degraded as
held_out.py degrades photos. Each face gets one of three kinds of damage. Standard errors are over faces.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import held_out  # noqa: E402

from metaf2n_tf import runtime  # noqa: E402
from metaf2n_tf.commands import cli  # noqa: E402

SIDES = (20, 24, 32, 48, 64)  # LQ pixels; the pipeline takes nothing smaller
KINDS = ("pipeline_0", held_out.shaken.__name__, held_out.webp.__name__)
BLENDS = (0, 0.5, 1)
OURS = "faces_lite"
TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("pictures", None, "Folder that the names in held_out.json are relative to.", required=True)
    flags.DEFINE_string("part", "held_out", "Part of held_out.json.")
    flags.DEFINE_integer("every", 2, "Only one in so many faces.", lower_bound=1)
    flags.DEFINE_string("weights", "faces-lite", "The face restorer, a compact network.")
    flags.DEFINE_string("general", "weights/realesr-general-x4v3.pth", "realesr-general-x4v3.")
    flags.DEFINE_string("wdn", "weights/realesr-general-wdn-x4v3.pth", "realesr-general-wdn-x4v3.")
    flags.DEFINE_string("x4plus", "weights/realesrgan-x4plus.npz", "Real-ESRGAN x4plus.")


def lines(values: dict[str, np.ndarray]) -> list[str]:
    """A row for each network: `values` is PSNR-Y and LPIPS of every face, (faces, 2) each."""
    written = []
    for title, own in values.items():
        text = f"  {title:20}{own[:, 0].mean():8.2f} {own[:, 1].mean():8.4f}"
        if title != OURS:
            change = values[OURS] - own
            error = change.std(axis=0, ddof=1) / len(change) ** 0.5
            text += f"    {OURS}: " + ", ".join(
                f"{mean:+.{digits}f} +- {wrong:.{digits}f}"
                for mean, wrong, digits in zip(change.mean(axis=0), error, (2, 3), strict=True)
            )
        written.append(text)
    return written


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device("-1")
    from metaf2n_tf.metrics.lpips import lpips
    from metaf2n_tf.metrics.psnr import psnr_y
    from metaf2n_tf.upscale.model import MetaF2N

    names = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())[args.part]["faces"][:: args.every]
    models = {f"general, blend {share:g}": MetaF2N(args.general, blend=f"{args.wdn}:{share}") for share in BLENDS}
    models |= {"x4plus": MetaF2N(args.x4plus), OURS: MetaF2N(args.weights)}
    for side in SIDES:
        found = {title: [] for title in ["bicubic", *models]}
        for name in names:
            face = Image.open(next(Path(args.pictures).glob(f"{name}.*"))).convert("RGB")
            gt = np.asarray(face.resize((4 * side, 4 * side), Image.Resampling.LANCZOS))
            kind = KINDS[zlib.crc32(name.encode()) % len(KINDS)]
            lq = held_out.degradations(name, gt)[kind]()
            results = {"bicubic": np.asarray(Image.fromarray(lq).resize(gt.shape[1::-1], Image.Resampling.BICUBIC))}
            results |= {title: model.upscale(np.float32(lq) / np.float32(255)) for title, model in models.items()}
            for title, result in results.items():
                pair = (np.float32(picture[None]) / np.float32(255) for picture in (result, gt))
                found[title].append((psnr_y(result, gt), float(np.squeeze(lpips(*pair)))))
        print(f"{len(names)} faces of {side} LQ pixels{'':8}PSNR-Y    LPIPS")
        print("\n".join(lines({title: np.array(rows) for title, rows in found.items()})), flush=True)
    return cli.OK


if __name__ == "__main__":
    cli.run(sys.modules[__name__])
