"""Speed and memory of test.py, with a naive baseline run beside it.

  python benchmarks/inference.py            # about 12 minutes on 2 CPU cores
  python benchmarks/inference.py --large    # also a 1024x1024 photo: 6 minutes more

The workload: 3 photos of 128x128, 128x144 and 128x160 pixels, one face each, the real Real-ESRGAN weights with an
untrained MaskNet in a TF1 checkpoint. The baseline does what the published test.py does: one TF1 graph of open shapes,
unrolled, and a Saver that reads the weights from disk again for every photo.
"""

import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags
from children import in_child, measured

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WIDTHS = (128, 144, 160)

flags.DEFINE_bool("large", False, "Also measure a 1024x1024 photo.")
flags.DEFINE_string("baseline", None, "Run the baseline on this folder (used by the benchmark itself).")
flags.DEFINE_integer("steps", 1, "Fine-tuning steps of the baseline.")
flags.DEFINE_integer("photos", 3, "Photos of the baseline.")


def make_workload(folder: Path) -> None:
    """Write photos, faces and checkpoint."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    from metaf2n_tf.data import images
    from metaf2n_tf.faces.folder import HQ, LQ, write_pictures
    from metaf2n_tf.networks import masknet
    from metaf2n_tf.weights import tf1_checkpoint
    from metaf2n_tf.weights.load import load_weights

    gt = images.read_rgb8(ROOT / "datasets" / "sample" / "GT" / "grace_hopper.png")
    for count in (1, len(WIDTHS)):
        (folder / f"LQ{count}").mkdir()
        for width in WIDTHS[:count]:
            name = Path(f"photo{width}.png")
            photo = cv2.resize(gt, (width, 128), interpolation=cv2.INTER_AREA)
            images.write_rgb8(folder / f"LQ{count}" / name, photo)
            face = gt[120:312, 160:352]
            lq = cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA)
            write_pictures(folder, name, {HQ: {0: face}, LQ: {0: lq}})
    (folder / "LQ0").mkdir()
    images.write_rgb8(folder / "LQ0" / "large.png", cv2.resize(gt, (1024, 1024), interpolation=cv2.INTER_CUBIC))
    sr = load_weights(ROOT / "weights" / "realesrgan-x4plus.npz").sr
    tf1_checkpoint.write_checkpoint(folder / "model-new", sr | masknet.initial_params(seed=0))


def run_baseline(folder: Path, steps: int, count: int) -> None:
    """The published way, in one process."""
    import tensorflow as tf2

    from metaf2n_tf.data import images
    from metaf2n_tf.faces.folder import read_pairs
    from metaf2n_tf.networks import masknet, rrdbnet
    from metaf2n_tf.upscale.patches import sample_patches

    tf = tf2.compat.v1
    tf.disable_v2_behavior()
    shapes = rrdbnet.variable_shapes() | masknet.variable_shapes()
    weights = {
        name: tf.get_variable(name, shape, initializer=tf.zeros_initializer(), use_resource=False)
        for name, shape in shapes.items()
    }
    lq, hq = tf.placeholder(tf.float32), tf.placeholder(tf.float32)

    def conv(x: tf.Tensor, name: str, leaky: bool = True) -> tf.Tensor:
        y = tf.nn.conv2d(x, weights[f"MODEL/{name}/weight"], 1, "SAME") + weights[f"MODEL/{name}/bias"]
        return tf.nn.leaky_relu(y, 0.2) if leaky else y

    head = x = conv(lq, "conv_first", leaky=False)
    for block in range(23):
        outer = x
        for rdb in (1, 2, 3):
            features = [x]
            for index in (1, 2, 3, 4):
                features.append(conv(tf.concat(features, 3), f"body/{block}/rdb{rdb}/conv{index}"))
            x = features[0] + 0.2 * conv(tf.concat(features, 3), f"body/{block}/rdb{rdb}/conv5", leaky=False)
        x = outer + 0.2 * x
    x = head + conv(x, "conv_body", leaky=False)
    for name in ("conv_up1", "conv_up2"):
        x = conv(tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2), name)
    output = conv(conv(x, "conv_hr"), "conv_last", leaky=False)
    mask = tf.concat([tf.image.resize_bicubic(lq, tf.shape(hq)[1:3]), hq], 3)
    for index in range(1, 9):
        kernel, bias = weights[f"Mask/conv{index}/kernel"], weights[f"Mask/conv{index}/bias"]
        mask = tf.nn.relu(tf.nn.conv2d(mask, kernel, 1, "SAME") + bias)
    loss = tf.reduce_mean(mask * tf.abs(hq - output))
    train = tf.train.GradientDescentOptimizer(0.01).minimize(loss, var_list=tf.trainable_variables("MODEL"))
    savers = [tf.train.Saver(var_list=tf.trainable_variables(scope)) for scope in ("MODEL", "Mask")]
    with tf.Session() as session:
        for path in sorted((folder / f"LQ{count}").iterdir()):
            for saver in savers:
                saver.restore(session, str(folder / "model-new"))
            rng = np.random.default_rng([0, zlib.crc32(path.name.encode())])  # as test.py draws them
            feed = dict(zip((lq, hq), sample_patches(read_pairs(folder, Path(path.name)), 64, 16, rng), strict=True))
            for _ in range(steps):
                session.run(train, feed)
            result = session.run(output, {lq: images.read_photo(path).rgb[None]})[0]
            images.write_rgb8(folder / f"baseline_{path.name}", images.to_levels(result))


def ours(folder: Path, steps: str, count: int, *extra: str) -> tuple[float, float]:
    """test.py as a user runs it."""
    arguments = ["--input_dir", folder / f"LQ{count}", "--face_dir", folder, "--model_dir", folder / "model-new"]
    arguments += ["--output_dir", folder / f"out_{steps}", "--overwrite", "--fine_tune_num", steps, *extra]
    return measured([sys.executable, str(ROOT / "test.py"), *map(str, arguments)])[:2]


def baseline(folder: Path, steps: int, count: int) -> tuple[float, float]:
    """The baseline in a process of its own."""
    arguments = ["--baseline", str(folder), "--steps", str(steps), "--photos", str(count)]
    return measured([sys.executable, __file__, *arguments])[:2]


def largest_difference(folder: Path, steps: int) -> int:
    """Levels between our pictures and the baseline's: the same patches, so the same result."""
    largest = 0
    for width in WIDTHS:
        mine = cv2.imread(str(folder / f"out_{steps}" / f"photo{width}.png")).astype(int)
        other = cv2.imread(str(folder / f"baseline_photo{width}.png")).astype(int)
        largest = max(largest, int(np.abs(mine - other).max()))
    return largest


def compare_runs(folder: Path) -> None:
    """Whole runs, ours and the baseline's in turn."""
    print(f"\n{'whole runs, seconds':44}{'ours':>8}{'baseline':>10}{'ratio':>8}")

    def row(title: str, mine: float, other: float) -> None:
        print(f"{title:44}{mine:8.1f}{other:10.1f}{mine / other:8.2f}", flush=True)

    separate = 0.0
    for steps in (1, 5):
        (mine3, peak), (other3, other_peak) = ours(folder, str(steps), 3), baseline(folder, steps, 3)
        difference = largest_difference(folder, steps)
        mine1, other1 = ours(folder, str(steps), 1)[0], baseline(folder, steps, 1)[0]
        separate += other3
        row(f"3 photos, fine_tune_num {steps}", mine3, other3)
        row(f"each further photo, fine_tune_num {steps}", (mine3 - mine1) / 2, (other3 - other1) / 2)
        row(f"peak memory in GB, fine_tune_num {steps}", peak, other_peak)
        print(f"largest difference of the pictures, fine_tune_num {steps}: {difference} levels")
    separate += sum(baseline(folder, steps, 3)[0] for steps in (0, 10))
    row("3 photos, 0,1,5,10 (baseline: four runs)", ours(folder, "0,1,5,10", 3)[0], separate)


def convolution_seconds(height: int, width: int) -> float:
    """Time of the network's convolutions alone on one photo, each shape measured by itself."""
    import tensorflow as tf

    from metaf2n_tf.networks import rrdbnet

    scale = {"conv_up1": 2, "conv_up2": 4, "conv_hr": 4, "conv_last": 4}
    counts: dict[tuple, int] = {}
    for name, channels in rrdbnet.conv_channels().items():
        key = (*channels, scale.get(name, 1))
        counts[key] = counts.get(key, 0) + 1
    total = 0.0
    for (cin, cout, factor), count in counts.items():
        kernel = tf.random.normal((3, 3, cin, cout))
        images = tf.random.normal((1, factor * height, factor * width, cin))
        convolve = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
        total += count * best_of(3, lambda f=convolve, x=images, k=kernel: f(x, k).numpy())[1]
    return total


def best_of(runs: int, function: Callable[[], object]) -> tuple[float, float]:
    """(seconds of the first call, least seconds of the next ones)."""
    seconds = []
    for _ in range(runs + 1):
        began = time.monotonic()
        function()
        seconds.append(time.monotonic() - began)
    return seconds[0], min(seconds[1:])


def measure_parts(folder: Path) -> None:
    """Start-up, compiling and steady speed inside one process."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    import tensorflow as tf

    start_up, _ = best_of(
        1, lambda: subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, stderr=subprocess.DEVNULL)
    )
    device = runtime.select_device(None)
    from metaf2n_tf.data import images
    from metaf2n_tf.faces.folder import read_pairs
    from metaf2n_tf.tiles import SuperResolver
    from metaf2n_tf.upscale.adaptation import Adapter
    from metaf2n_tf.upscale.patches import sample_patches
    from metaf2n_tf.weights.load import load_weights

    began = time.monotonic()
    weights = load_weights(folder / "model-new")
    print(f"device {device}, oneDNN {runtime.onednn_in_use()}")
    print(f"start-up: TensorFlow {start_up:.1f} s, weights {time.monotonic() - began:.1f} s")
    photo = images.read_photo(folder / "LQ1" / "photo128.png").rgb
    patches = sample_patches(read_pairs(folder, Path("photo128.png")), 64, 16, np.random.default_rng(0))
    for xla in (False, True):
        adapter = Adapter(weights, xla)
        batch = adapter.weight_map(adapter.mask, *patches), *map(tf.constant, patches)
        first, step = best_of(3, lambda a=adapter, b=batch: a.gradient(a.params, *b)[0].numpy())
        name = "XLA blocks" if xla else "graph"
        print(f"fine-tuning step, {name}: {step:.2f} s, and {first - step:.1f} s to compile", flush=True)
    for precision in ("float32", "bfloat16"):
        resolver = SuperResolver(precision=precision)
        first, seconds = best_of(3, lambda r=resolver: r(adapter.params, photo))
        megapixels = photo.shape[0] * photo.shape[1] / 1e6
        per_megapixel = f"{seconds / megapixels:.0f} s a LQ megapixel"
        print(
            f"super-resolution, {precision}: {seconds:.2f} s, {per_megapixel}, and {first - seconds:.1f} s to compile"
        )
        if precision == "float32":
            print(f"share of the time spent in convolutions: {convolution_seconds(*photo.shape[:2]) / seconds:.0%}")


def measure_large(folder: Path) -> None:
    """A 1024x1024 photo, unadapted."""
    seconds, peak = ours(folder, "0", 0)
    print(f"\n1024x1024 photo, unadapted: {seconds:.0f} s, peak memory {peak:.2f} GB")


def main(_: list[str]) -> None:
    """Run everything, or the baseline alone."""
    args = flags.FLAGS
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.baseline:
        run_baseline(Path(args.baseline), args.steps, args.photos)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        in_child(make_workload, folder)
        in_child(measure_parts, folder)
        compare_runs(folder)
        if args.large:
            measure_large(folder)


if __name__ == "__main__":
    app.run(main)
