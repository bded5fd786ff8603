"""What one step on a photo's faces is worth: our shipped weights beside their control, on photos never trained on.

`held_out.json` names the photos. Each is degraded in five ways: three draws of the training's pipeline, and two kinds
that no training has seen ("shaken": motion blur, film grain, libjpeg with 4:2:0; "webp": bicubic and lossy WebP). Faces
are found in the degraded photo and restored by faces_lite, as `test.py` does it. The control is the same network,
from the same start, on the same batches with the same losses for as many steps, trained without inner loop; it, too,
gets a step, at the rate that was best for it on the validation photos.

Rows whose weights are not there are left out, and said so. An average over the degradations is one value a photo; the
standard errors are over photos. LPIPS (AlexNet) is part of the training's loss; DISTS (VGG16) is not; as its published
script does it, pictures are reduced for it to 256 pixels on the shorter side.

What was measured is kept in OUTPUT_DIR/measurements.json and not measured again as long as its weights, steps and
restorer are the same, so a run that was stopped goes on. Seconds are taken at the end, of one photo of 256x256 LQ
pixels, one row after another: the machine should have nothing else to do then.
"""

import functools
import io
import json
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from absl import flags
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf import runtime  # noqa: E402
from metaf2n_tf.commands import cli  # noqa: E402

SCALE = 4
SEEDS = (0, 1, 2)
METRICS = {"psnr_y": ("higher", "8.2f"), "ssim_y": ("higher", "8.4f"), "lpips": ("lower", "8.4f")}
METRICS |= {"dists": ("lower", "8.4f"), "niqe_pyiqa": ("lower", "8.2f")}
PAIRED = ("psnr_y", "ssim_y", "lpips", "dists")
DISTS_SIDE = 256
TIMED_PHOTO, TIMED_SIDE, TIMES = ROOT / "datasets/sample/GT/grace_hopper.png", 256, 3


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


BICUBIC, X4PLUS = "bicubic", "x4plus"
LITE_0, LITE_1, CONTROL, CONTROL_1 = "lite, unadapted", "lite, 1 step", "control", "control, 1 step"


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
    """All metrics of results against one ground truth."""

    def __init__(self):
        import tensorflow as tf

        from metaf2n_tf.metrics import dists
        from metaf2n_tf.metrics.measure import Measurer

        self._measurer = Measurer(with_gt=True)
        params = {name: tf.constant(value) for name, value in dists.load_dists(dists.WEIGHTS).items()}
        self._stages = tf.function(
            lambda picture: dists.stages(params, picture), autograph=False, reduce_retracing=True
        )
        self._distance = lambda *stages: tf.add_n(dists.stage_distances(params, *stages))

    def _stages_of(self, picture: np.ndarray) -> list:
        height, width = picture.shape[:2]
        scale = DISTS_SIDE / min(height, width)
        size = (round(width * scale), round(height * scale))
        reduced = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR) if scale < 1 else picture
        return self._stages(np.float32(np.asarray(reduced)[None]) / np.float32(255))

    def against(self, gt: np.ndarray) -> Callable[[np.ndarray], dict[str, float]]:
        """`{metric: value}` of a result, uint8 (H, W, 3) as the ground truth."""
        wanted = self._stages_of(gt)

        def measure(result: np.ndarray) -> dict[str, float]:
            distance = float(self._distance(self._stages_of(result), wanted)[0])
            return self._measurer(result, gt).values | {"dists": distance}

        return measure


class Case:
    """A degraded photo: its faces are found once, when they are needed."""

    def __init__(self, finder: object, name: str, lq: np.ndarray, gt: np.ndarray):
        self.name, self.lq, self.gt, self._finder = name, lq, gt, finder

    @functools.cached_property
    def pairs(self) -> list[tuple[np.ndarray, np.ndarray, tuple[slice, slice]]]:
        """(LQ face, restored face, its rows and columns in the LQ photo) of every face that is found."""
        from metaf2n_tf.faces.crop import face_slices

        restored = self._finder(self.lq, self.name).restored
        return [(face.lq, face.hq, face_slices(face.face, self.lq.shape[:2])) for face in restored]

    def faces(self, true_faces: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """The pairs to learn from."""
        from metaf2n_tf.tiles import times_scale

        if true_faces:
            return [(face, self.gt[tuple(map(times_scale, place))]) for face, _, place in self.pairs]
        return [(face, hq) for face, hq, _ in self.pairs]


class Bench:
    """The networks and the finder of faces, made once."""

    def __init__(self, args: flags.FlagValues):
        from metaf2n_tf.faces.finder import FaceFinder
        from metaf2n_tf.upscale.model import MetaF2N
        from metaf2n_tf.weights.load import load_weights

        self.rows = rows(args)
        self._models = {
            key: MetaF2N(key[0], blend=key[1]) for key in {(r.weights, r.blend) for r in self.rows.values()}
        }
        self._finder = FaceFinder("mtcnn", args.restorer)
        by_file = load_weights("faces-lite").identity if args.restorer == "faces_lite" else ""
        self._restorer = f"{args.restorer} {by_file}".strip()

    def case(self, name: str, lq: np.ndarray, gt: np.ndarray) -> Case:
        """One degraded photo."""
        return Case(self._finder, name, lq, gt)

    def made_with(self, title: str) -> str:
        """All that a row's result depends on besides the photo."""
        row = self.rows.get(title)
        if row is None:
            return title
        weights = self._models[row.weights, row.blend].weights.identity
        steps = f", {row.steps} steps at {row.task_lr}, faces: " + ("true" if row.true_faces else self._restorer)
        return weights + (steps if row.steps else "")

    def result(self, title: str, case: Case) -> np.ndarray:
        """The picture of a row, uint8 (4H, 4W, 3)."""
        if title == BICUBIC:
            size = case.lq.shape[1] * SCALE, case.lq.shape[0] * SCALE
            return np.asarray(Image.fromarray(case.lq).resize(size, Image.Resampling.BICUBIC))
        row = self.rows[title]
        model = self._models[row.weights, row.blend]
        params = model.unadapted
        if row.steps:
            seed = [0, zlib.crc32(case.name.encode())]
            adaptation = model.adapt(case.faces(row.true_faces), task_lr=row.task_lr, seed=seed)
            params = dict(adaptation.trajectory([row.steps]))[row.steps]
        return model.upscale(np.float32(case.lq) / np.float32(255), params)


def seconds(bench: Bench, titles: list[str]) -> dict[str, float]:
    """The median time of each row for one photo, face search included where faces are used, after one that warms up."""
    photo = Image.open(TIMED_PHOTO).convert("RGB").resize((TIMED_SIDE, TIMED_SIDE), Image.Resampling.BICUBIC)
    lq, taken = np.asarray(photo), {}
    for title in titles:
        times = []
        for _ in range(1 + TIMES):
            case, began = bench.case("timed", lq, np.repeat(np.repeat(lq, SCALE, 0), SCALE, 1)), time.monotonic()
            bench.result(title, case)
            times.append(time.monotonic() - began)
        taken[title] = float(np.median(times[1:]))
    return taken


# ---- tables

Measurements = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]  # [photo][degradation][row][metric]


def by_photo(found: Measurements, row: str, metric: str, kinds: list[str]) -> np.ndarray:
    """One value a photo, the mean over these degradations."""
    return np.array([np.mean([photo[kind][row][metric] for kind in kinds]) for photo in found.values()])


def table(found: Measurements, titles: list[str], kinds: list[str], times: Mapping[str, float]) -> list[str]:
    """Means of every row."""
    lines = [f"{'':32}" + "".join(f"{metric.removesuffix('_pyiqa'):>8}" for metric in METRICS) + f"{'seconds':>9}"]
    for row in titles:
        values = "".join(f"{by_photo(found, row, name, kinds).mean():{form}}" for name, (_, form) in METRICS.items())
        lines.append(f"{row:32}{values}{times[row]:9.2f}")
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


def summary(found: Measurements, titles: list[str], kinds: list[str], times: Mapping[str, float]) -> str:
    """All tables, of all degradations and of each kind of them."""
    groups = {
        "all degradations": kinds,
        "of the training kind": [kind for kind in kinds if kind.startswith("pipeline")],
        "never trained on": [kind for kind in kinds if not kind.startswith("pipeline")],
    }
    with_faces = np.mean([photo[kind][LITE_1]["faces"] > 0 for photo in found.values() for kind in kinds])
    lines = [f"{len(found)} photos; faces were found in {with_faces:.0%} of the degraded ones"]
    pairs = [
        (LITE_1, CONTROL),
        (LITE_1, CONTROL_1),
        (LITE_0, CONTROL),
        (CONTROL_1, CONTROL),
        (LITE_1, X4PLUS),
        (LITE_1, LITE_0),
    ]
    for group, members in groups.items():
        if members:
            lines += ["", f"{group}: {', '.join(members)}", *table(found, titles, members, times), ""]
            lines += [paired(found, *pair, members) for pair in pairs if set(pair) <= set(titles)]
    return "\n".join(lines)


TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("pictures", None, "Folder that the names in held_out.json are relative to.", required=True)
    flags.DEFINE_string("part", "held_out", "Part of held_out.json: held_out, or validation to choose settings by.")
    flags.DEFINE_integer("photos", 0, "Only the first so many photos; 0 for all.", lower_bound=0)
    flags.DEFINE_list(
        "degradations", [], "Only these of pipeline_0, pipeline_1, pipeline_2, shaken, webp. Default: all."
    )
    flags.DEFINE_string("lite", str(ROOT / "pretrained_models" / "metaf2n_lite.npz"), "The meta-trained weights.")
    flags.DEFINE_string("control", str(ROOT / "benchmarks" / "control.npz"), "The control's weights.")
    flags.DEFINE_float("control_lr", 5e-2, "The control's rate for its own step.")
    flags.DEFINE_string("general", "weights/realesr-general-x4v3.pth", "realesr-general-x4v3.")
    flags.DEFINE_string("wdn", "weights/realesr-general-wdn-x4v3.pth", "realesr-general-wdn-x4v3.")
    flags.DEFINE_string("x4plus", "weights/realesrgan-x4plus.npz", "Real-ESRGAN x4plus.")
    flags.DEFINE_string("restorer", "faces_lite", "Face restorer, NAME or NAME:WEIGHTS.")
    flags.DEFINE_string("output_dir", "results/held_out", "For table.txt, measurements.json, and the pictures.")
    flags.DEFINE_bool("save_pictures", False, "Keep the LQ photos and all results, to look at.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device("-1")
    from metaf2n_tf.data import files, images

    names = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())[args.part]["photos"]
    names = names[: args.photos] if args.photos else names
    output = Path(args.output_dir)
    files.make_folder(output)
    bench, judge, place = Bench(args), Judge(), output / "measurements.json"
    found = json.loads(place.read_text()) if place.exists() else {}
    titles = [BICUBIC, *bench.rows]
    kinds = args.degradations or [*(f"pipeline_{seed}" for seed in SEEDS), shaken.__name__, webp.__name__]
    for number, name in enumerate(names, 1):
        # The sample photo is ours; all others lie in the folder given.
        folder = ROOT if name.startswith("datasets/") else Path(args.pictures)
        gt = read_photo(next(folder.glob(f"{name}.*")))
        measure, makers = judge.against(gt), degradations(name, gt)
        for kind in kinds:
            known = found.setdefault(name, {}).setdefault(kind, {})
            missing = [t for t in titles if known.get(t, {}).get("made_with") != bench.made_with(t)]
            if not missing:
                continue
            case = bench.case(f"{name}/{kind}", makers[kind](), gt)
            pictures = {"LQ": case.lq, "GT": gt} if args.save_pictures else {}
            for title in missing:
                picture = bench.result(title, case)
                known[title] = measure(picture) | {"made_with": bench.made_with(title)}
                if bench.rows.get(title, Row("")).steps:
                    known[title]["faces"] = len(case.pairs)
                if args.save_pictures:
                    pictures[title] = picture
            for title, picture in pictures.items():
                path = (
                    output / "pictures" / title.replace(", ", "_").replace(" ", "_") / kind / f"{Path(name).name}.png"
                )
                files.make_folder(path.parent)
                images.write_rgb8(path, picture)
            files.write_bytes(place, (json.dumps(found, indent=1) + "\n").encode())
        print(f"{number}/{len(names)} {name}", file=sys.stderr, flush=True)
    text = summary({name: found[name] for name in names}, titles, kinds, seconds(bench, titles))
    files.write_bytes(output / "table.txt", (text + "\n").encode())
    print(text)
    return cli.OK


if __name__ == "__main__":
    cli.run(sys.modules[__name__])
