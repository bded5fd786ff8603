"""What --color_fix lowpass does to results, by the sigma of its blur, beside none.

The photos are those of one part of held_out.json, degraded as there. All is measured in levels of 255, of RGB:
"photo" is the mean difference of the result from the LQ photo at low frequencies (means of 4x4, blurred by 8 LQ
pixels), "truth" the same from the ground truth, "blocks" how much larger the steps across the edges of the LQ photo's
JPEG blocks are than those in the middle of blocks.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from absl import flags

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import held_out  # noqa: E402

from metaf2n_tf import runtime  # noqa: E402
from metaf2n_tf.commands import cli  # noqa: E402

SCALE, BLOCK, SEEN = 4, 8, 8.0
COLUMNS = {"photo": "8.2f", "truth": "8.2f", "blocks": "8.2f", "psnr_y": "8.3f", "lpips": "8.4f"}
TAKES = ""


def tint(result: np.ndarray, lq: np.ndarray) -> float:
    """The mean difference at low frequencies, in levels: uint8 (4H, 4W, 3) from float32 (H, W, 3) levels."""
    reduced = cv2.resize(np.float32(result), lq.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(np.abs(cv2.GaussianBlur(reduced - lq, (0, 0), SEEN, borderType=cv2.BORDER_REFLECT)).mean())


def blocks(result: np.ndarray) -> float:
    """How much larger steps across the edges of the photo's JPEG blocks are than those half a block away, in levels."""
    side, excess = SCALE * BLOCK, []
    for picture in (np.float32(result), np.float32(result).swapaxes(0, 1)):
        step = np.abs(picture[SCALE:] - picture[:-SCALE])  # from a pixel to the one an LQ pixel further
        edge, middle = (step[first::side].mean() for first in (side - SCALE // 2, side // 2 - SCALE // 2))
        excess.append(edge - middle)
    return float(np.mean(excess))


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("pictures", None, "Folder that the names in held_out.json are relative to.", required=True)
    flags.DEFINE_string("part", "validation", "Part of held_out.json.")
    flags.DEFINE_integer("photos", 0, "Only the first so many photos; 0 for all.", lower_bound=0)
    flags.DEFINE_list("degradations", ["pipeline_0", "pipeline_1", "pipeline_2"], "Of held_out.py.")
    flags.DEFINE_list("weights", ["metaf2n-lite", "realesrgan-x4plus"], "Weights, unadapted.")
    flags.DEFINE_list("sigmas", ["1", "2", "4", "8", "16"], "LQ pixels.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device("-1")
    from metaf2n_tf.finish.color_fix import lowpass
    from metaf2n_tf.metrics.lpips import lpips
    from metaf2n_tf.metrics.psnr import psnr_y
    from metaf2n_tf.upscale.model import MetaF2N

    names = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())[args.part]["photos"]
    names = names[: args.photos] if args.photos else names
    for weights in args.weights:
        model, found = MetaF2N(weights), defaultdict(list)
        for name in names:
            gt = held_out.read_photo(next(Path(args.pictures).glob(f"{name}.*")))
            makers = held_out.degradations(name, gt)
            for kind in args.degradations:
                lq = np.float32(makers[kind]())
                rgb = lq / np.float32(255)
                plain = model.upscale(rgb)
                results = {"none": plain} | {f"sigma {s}": lowpass(plain, rgb, float(s)) for s in args.sigmas}
                true = cv2.resize(np.float32(gt), lq.shape[1::-1], interpolation=cv2.INTER_AREA)
                for title, result in results.items():
                    distance = float(np.squeeze(lpips(*(np.float32(p[None]) / np.float32(255) for p in (result, gt)))))
                    found[title].append(
                        {
                            "photo": tint(result, lq),
                            "truth": tint(result, true),
                            "blocks": blocks(result),
                            "psnr_y": psnr_y(result, gt),
                            "lpips": distance,
                        }
                    )
            print(f"{weights} {name}", file=sys.stderr, flush=True)
        print(f"{weights}, {len(names)} photos, {', '.join(args.degradations)}")
        print(f"{'':10}" + "".join(f"{column:>8}" for column in COLUMNS) + "  (+-: of the change from none)")
        for title, values in found.items():
            cells = [f"{np.mean([value[c] for value in values]):{form}}" for c, form in COLUMNS.items()]
            changes = []
            for c in ("psnr_y", "lpips"):
                change = [value[c] - none[c] for value, none in zip(values, found["none"], strict=True)]
                of_photos = np.reshape(change, (len(names), -1)).mean(axis=1)
                changes.append(f"{c} {of_photos.mean():+.4f} +- {of_photos.std(ddof=1) / len(names) ** 0.5:.4f}")
            print(f"{title:10}{''.join(cells)}  {', '.join(changes)}", flush=True)
    return cli.OK


if __name__ == "__main__":
    cli.run(sys.modules[__name__])
