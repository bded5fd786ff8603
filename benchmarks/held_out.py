"""What one step on a photo's faces is worth: our shipped weights beside their control, on photos never trained on.

`held_out.json` names the photos. Each is degraded in five ways: three draws of the training's pipeline, and two kinds
that no training has seen ("shaken": motion blur, film grain, libjpeg with 4:2:0; "webp": bicubic and lossy WebP). Faces
are found in the degraded photo and restored by faces_lite, as `test.py` does it. The control is the same network,
from the same start, on the same batches with the same losses for as many steps, trained without inner loop; it, too,
gets a step, at the rate that was best for it on the validation photos.

Rows whose weights are not there are left out, and said so. An average over the degradations is one value a photo; the
standard errors are over photos. LPIPS (AlexNet) is part of the training's loss; DISTS (VGG16) is not.
"""

import functools
import io
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from absl import flags
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf import cli, runtime  # noqa: E402

flags.DEFINE_string("pictures", None, "Folder that the names in held_out.json are relative to.", required=True)
flags.DEFINE_string("part", "held_out", "Part of held_out.json: held_out, or validation to choose settings by.")
flags.DEFINE_integer("photos", 0, "Only the first so many photos; 0 for all.", lower_bound=0)
flags.DEFINE_list("degradations", [], "Only these of pipeline_0, pipeline_1, pipeline_2, shaken, webp. Default: all.")
flags.DEFINE_string("lite", str(ROOT / "pretrained_models" / "metaf2n_lite.npz"), "The meta-trained weights.")
flags.DEFINE_string("control", str(ROOT / "benchmarks" / "control.npz"), "The control's weights.")
flags.DEFINE_float("control_lr", 2e-2, "The control's rate for its own step.")
flags.DEFINE_string("general", "weights/realesr-general-x4v3.pth", "realesr-general-x4v3.")
flags.DEFINE_string("wdn", "weights/realesr-general-wdn-x4v3.pth", "realesr-general-wdn-x4v3.")
flags.DEFINE_string("x4plus", "weights/realesrgan-x4plus.npz", "Real-ESRGAN x4plus.")
flags.DEFINE_string("restorer", "faces_lite", "Face restorer, NAME or NAME:WEIGHTS.")
flags.DEFINE_string("output_dir", "results/held_out", "For table.txt, measurements.json, and the pictures.")
flags.DEFINE_bool("save_pictures", False, "Keep the LQ photos and all results, to look at.")

SCALE = 4
SEEDS = (0, 1, 2)
METRICS = {"psnr_y": ("higher", "8.2f"), "ssim_y": ("higher", "8.4f"), "lpips": ("lower", "8.4f")}
METRICS |= {"dists": ("lower", "8.4f"), "niqe_pyiqa": ("lower", "8.2f")}
PAIRED = ("psnr_y", "ssim_y", "lpips", "dists")


# ---- photos and their degradations


def read_photo(path: Path) -> np.ndarray:
    """uint8 (H, W, 3), its sides cut to multiples of 16, which the pipeline's JPEG likes."""
    rgb = np.asarray(Image.open(path).convert("RGB"))
    height, width = (side // 16 * 16 for side in rgb.shape[:2])
    return rgb[:height, :width]


def _recoded(picture: Image.Image, **options: object) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, **options)
    return Image.open(stream).convert("RGB")


def shaken(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Motion blur of 9 to 17 HQ pixels, mean of 4x4, film grain of two sizes, libjpeg at quality 60 with 4:2:0."""
    length, angle = int(rng.integers(9, 18)), float(rng.uniform(0, 180))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), angle, 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    blurred = cv2.filter2D(np.float32(rgb), -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    size = rgb.shape[1] // SCALE, rgb.shape[0] // SCALE
    lq = cv2.resize(blurred, size, interpolation=cv2.INTER_AREA)
    grain = rng.normal(0, 5, lq.shape[:2]) + 3 * cv2.GaussianBlur(rng.normal(0, 5, lq.shape[:2]), (0, 0), 1)
    levels = np.uint8(np.clip(np.round(lq + grain[..., None]), 0, 255))
    return np.asarray(_recoded(Image.fromarray(levels), format="JPEG", quality=60, subsampling=2))


def webp(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pillow's bicubic, lossy WebP of quality 30 to 60."""
    picture = Image.fromarray(rgb).resize((rgb.shape[1] // SCALE, rgb.shape[0] // SCALE), Image.Resampling.BICUBIC)
    return np.asarray(_recoded(picture, format="WEBP", quality=int(rng.integers(30, 61)), method=4))


def pipeline(rgb: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """A draw of the training's degradation."""
    import tensorflow as tf

    from metaf2n_tf.data.degradation import degrade, draw_parameters

    planes = tf.constant(np.float32(rgb.transpose(2, 0, 1)[None]) / np.float32(255))
    parameter_seed, noise_seed = tf.unstack(tf.random.split(tf.constant(seed), 2))
    return degrade(planes, draw_parameters(parameter_seed), noise_seed).numpy()[0].transpose(1, 2, 0)


def degradations(name: str, rgb: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """`{degradation: makes the LQ photo}`, each with a seed of its own."""
    number = zlib.crc32(name.encode()) % 2**31
    kinds = {f"pipeline_{seed}": functools.partial(pipeline, rgb, (number, seed)) for seed in SEEDS}
    for kind in (shaken, webp):
        kinds[kind.__name__] = functools.partial(kind, rgb, np.random.default_rng(number))
    return kinds


# ---- rows of the table


@dataclass(frozen=True)
class Row:
    """Weights, and what is done with them: no step at all, or steps at a rate, on which faces."""

    weights: str
    blend: str | None = None
    steps: int = 0
    task_lr: float | None = None
    true_faces: bool = False


LITE_0, LITE_1, CONTROL, CONTROL_1 = "lite, unadapted", "lite, 1 step", "control", "control, 1 step"
X4PLUS = "x4plus"


def rows(args: flags.FlagValues) -> dict[str, Row]:
    """`{title: row}`, those whose weights are there."""
    general = [(f"general, blend {share:g}", Row(args.general, f"{args.wdn}:{share}")) for share in (0, 0.5, 1)]
    wanted = dict(general) | {
        X4PLUS: Row(args.x4plus),
        CONTROL: Row(args.control),
        CONTROL_1: Row(args.control, steps=1, task_lr=args.control_lr),
        LITE_0: Row(args.lite),
        LITE_1: Row(args.lite, steps=1),
        "lite, 2 steps": Row(args.lite, steps=2),
        "lite, 5 steps": Row(args.lite, steps=5),
        "lite, 1 step on the true faces": Row(args.lite, steps=1, true_faces=True),
    }
    found = {}
    for title, row in wanted.items():
        files = [row.weights, *([row.blend.rpartition(":")[0]] if row.blend else [])]
        missing = [file for file in files if not (Path(file).is_file() or Path(f"{file}.index").is_file())]
        if missing:
            print(f"left out: {title}: there is no {missing[0]}")
        else:
            found[title] = row
    return found


class Judge:
    """All metrics of a result against its ground truth."""

    def __init__(self):
        import tensorflow as tf

        from metaf2n_tf.metrics import dists
        from metaf2n_tf.metrics.measure import Measurer

        self._measurer = Measurer(with_gt=True)
        params = {name: tf.constant(value) for name, value in dists.load_dists(dists.WEIGHTS).items()}
        self._dists = tf.function(lambda a, b: dists.distance(params, a, b), autograph=False, reduce_retracing=True)

    def __call__(self, result: np.ndarray, gt: np.ndarray) -> dict[str, float]:
        """`{metric: value}` of uint8 (H, W, 3) pictures."""
        pictures = (np.float32(x[None]) / np.float32(255) for x in (result, gt))
        return self._measurer(result, gt).values | {"dists": float(self._dists(*pictures)[0])}


class Bench:
    """The networks, the finder of faces and the metrics, made once."""

    def __init__(self, args: flags.FlagValues):
        from metaf2n_tf.faces.generate import FaceFinder, Selection
        from metaf2n_tf.faces.restore import Setting
        from metaf2n_tf.upscale.model import MetaF2N

        self.rows = rows(args)
        self._models = {
            key: MetaF2N(key[0], blend=key[1]) for key in {(r.weights, r.blend) for r in self.rows.values()}
        }
        self._finder = FaceFinder("mtcnn", args.restorer, Setting(sr=dict), Selection())
        self._judge = Judge()

    def _pairs(self, lq: np.ndarray, name: str) -> list[tuple[np.ndarray, np.ndarray, tuple[slice, slice]]]:
        """(LQ face, restored face, its rows and columns in the LQ photo) of every face that is found."""
        from metaf2n_tf.faces.cut import face_slices

        used, others = self._finder.find(lq)
        restored = self._finder.restore(lq, used, others, Path(name))
        return [(face.lq, face.hq, face_slices(face.face, lq.shape[:2])) for face in restored]

    def measure(self, name: str, lq: np.ndarray, gt: np.ndarray) -> Iterator[tuple[str, np.ndarray, dict]]:
        """(row, picture, its metrics and seconds) of one LQ photo; seconds include the faces where they are used."""
        from metaf2n_tf.tiles import times_scale

        began = time.monotonic()
        pairs = self._pairs(lq, name)
        finding = time.monotonic() - began
        bicubic = np.asarray(Image.fromarray(lq).resize(gt.shape[1::-1], Image.Resampling.BICUBIC))
        yield "bicubic", bicubic, self._judge(bicubic, gt) | {"seconds": 0.0, "faces": len(pairs)}
        truth = [(face, gt[tuple(map(times_scale, place))]) for face, _, place in pairs]
        restored = [(face, hq) for face, hq, _ in pairs]
        for title, row in self.rows.items():
            model, began = self._models[row.weights, row.blend], time.monotonic()
            params = model.unadapted
            if row.steps:
                faces = truth if row.true_faces else restored
                adaptation = model.adapt(faces, task_lr=row.task_lr, seed=[0, zlib.crc32(name.encode())])
                params = dict(adaptation.trajectory([row.steps]))[row.steps]
            result = model.upscale(np.float32(lq) / np.float32(255), params)
            seconds = time.monotonic() - began + (finding if row.steps else 0)
            yield title, result, self._judge(result, gt) | {"seconds": seconds, "faces": len(pairs)}


# ---- tables

Measurements = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]  # [photo][degradation][row][metric]


def by_photo(found: Measurements, row: str, metric: str, kinds: list[str]) -> np.ndarray:
    """One value a photo, the mean over these degradations."""
    return np.array([np.mean([photo[kind][row][metric] for kind in kinds]) for photo in found.values()])


def table(found: Measurements, titles: list[str], kinds: list[str]) -> list[str]:
    """Means of every row."""
    lines = [f"{'':32}" + "".join(f"{metric.removesuffix('_pyiqa'):>8}" for metric in METRICS) + f"{'seconds':>9}"]
    for row in titles:
        values = "".join(f"{by_photo(found, row, name, kinds).mean():{form}}" for name, (_, form) in METRICS.items())
        lines.append(f"{row:32}{values}{by_photo(found, row, 'seconds', kinds).mean():9.2f}")
    return lines


def paired(found: Measurements, row: str, other: str, kinds: list[str]) -> str:
    """Mean differences with standard errors over photos, the share of results that are better, and better in both."""
    parts = []
    for metric in PAIRED:
        difference = by_photo(found, row, metric, kinds) - by_photo(found, other, metric, kinds)
        error = difference.std(ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else float("nan")
        better = np.mean((difference > 0) if METRICS[metric][0] == "higher" else (difference < 0))
        parts.append(f"{metric} {difference.mean():+.4f} +- {error:.4f} ({better:.0%} better)")
    both = [
        photo[kind][row]["psnr_y"] > photo[kind][other]["psnr_y"]
        and photo[kind][row]["lpips"] < photo[kind][other]["lpips"]
        for photo in found.values()
        for kind in kinds
    ]
    return f"{row} against {other}: " + ", ".join(parts) + f"; PSNR-Y and LPIPS both better: {np.mean(both):.0%}"


def summary(found: Measurements) -> str:
    """All tables, of all degradations and of each kind of them."""
    first = next(iter(found.values()))
    kinds = list(first)
    titles = list(first[kinds[0]])
    groups = {
        "all degradations": kinds,
        "of the training kind": [kind for kind in kinds if kind.startswith("pipeline")],
        "never trained on": [kind for kind in kinds if not kind.startswith("pipeline")],
    }
    with_faces = np.mean([photo[kind]["bicubic"]["faces"] > 0 for photo in found.values() for kind in kinds])
    lines = [f"{len(found)} photos; faces were found in {with_faces:.0%} of the degraded ones"]
    pairs = [
        (LITE_1, CONTROL),
        (LITE_1, CONTROL_1),
        ("lite, unadapted", CONTROL),
        (CONTROL_1, CONTROL),
        (LITE_1, X4PLUS),
    ]
    pairs += [(LITE_1, "lite, unadapted")]
    for group, members in groups.items():
        if members:
            lines += ["", f"{group}: {', '.join(members)}", *table(found, titles, members), ""]
            lines += [paired(found, *pair, members) for pair in pairs if set(pair) <= set(titles)]
    return "\n".join(lines)


def main(args: flags.FlagValues) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device("-1")
    from metaf2n_tf.data import files, images

    names = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())[args.part]["photos"]
    names = names[: args.photos] if args.photos else names
    output = Path(args.output_dir)
    files.make_folder(output)
    bench, found = Bench(args), {}
    for number, name in enumerate(names, 1):
        # The sample photo is ours; all others lie in the folder given.
        place = ROOT if name.startswith("datasets/") else Path(args.pictures)
        gt = read_photo(next(place.glob(f"{name}.*")))
        found[name] = {}
        for kind, make in degradations(name, gt).items():
            if args.degradations and kind not in args.degradations:
                continue
            lq, found[name][kind] = make(), {}
            pictures = {"LQ": lq, "GT": gt} if args.save_pictures else {}
            for row, picture, values in bench.measure(f"{name}/{kind}", lq, gt):
                found[name][kind][row] = values
                if args.save_pictures:
                    pictures[row] = picture
            for row, picture in pictures.items():
                path = output / "pictures" / row.replace(", ", "_").replace(" ", "_") / kind / f"{Path(name).name}.png"
                files.make_folder(path.parent)
                images.write_rgb8(path, picture)
        print(f"{number}/{len(names)} {name}", file=sys.stderr, flush=True)
        files.write_bytes(output / "measurements.json", (json.dumps(found, indent=1) + "\n").encode())
    text = summary(found)
    files.write_bytes(output / "table.txt", (text + "\n").encode())
    print(text)
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
