"""Speed of the training data: writing and reading TFRecords, degrading, and what a training step waits for.

  python benchmarks/data.py    # about 4 minutes on 2 CPU cores

Each figure has its baseline beside it: the published way of writing, TensorFlow's own sequential reader, and the same
degradations in NumPy and OpenCV (benchmarks/numpy_chain.py). Pictures are made here, with detail and noise.
"""

import dataclasses
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags
from children import in_child, measured

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "golden")]

from metaf2n_tf.data.tfrecords.crops import crop_positions, log_gradient  # noqa: E402

PICTURES, SIZE = 96, (1356, 2040)
TASKS, PAIRS = 4, 4
BATCHES = 12

flags.DEFINE_multi_string("part", None, "Run one part: its name and folders (used by the benchmark itself).")


def make_pictures(folder: Path, count: int) -> None:
    """PNGs like photos: the sample enlarged, moved, and with film grain."""
    folder.mkdir()
    sample = cv2.imread(str(ROOT / "datasets" / "sample" / "GT" / "grace_hopper.png"))
    rng = np.random.default_rng(0)
    for index in range(count):
        view = np.roll(sample, rng.integers(0, 512, 2), (0, 1))[: 512 * SIZE[0] // SIZE[1]]
        view = cv2.resize(view, SIZE[::-1], interpolation=cv2.INTER_CUBIC) + rng.normal(0, 3, (*SIZE, 3))
        cv2.imwrite(str(folder / f"{index:04}.png"), np.uint8(np.clip(view, 0, 255)))


def write_published_way(pictures: Path, tfrecord: Path) -> None:
    """The published script's loop, one picture after the other: read, cut, measure texture, tf.train.Example, write."""
    tf = start_tensorflow()

    with tf.io.TFRecordWriter(str(tfrecord)) as writer:
        for picture in sorted(pictures.iterdir()):
            rgb = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
            for y in range(0, rgb.shape[0] - 399, 200):
                for x in range(0, rgb.shape[1] - 399, 200):
                    patch = rgb[y : y + 400, x : x + 400]
                    log_gradient(patch)
                    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[patch.tobytes()]))
                    example = tf.train.Example(features=tf.train.Features(feature={"label": value}))
                    writer.write(example.SerializeToString())


def start_tensorflow():
    """TensorFlow, on the CPU."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device("-1")
    import tensorflow as tf

    return tf


def bench_writing(scratch: Path) -> None:
    """Whole commands: seconds, pictures and records a second, peak memory."""
    target = scratch / "written"
    baseline = [sys.executable, __file__, *(f"--part={word}" for word in ("write", scratch / "many", target / "set"))]
    ours = [sys.executable, str(ROOT / "scripts" / "generate_tfrecord.py"), "--output_dir", str(target)]
    runs = {
        "published way, one thread": ("many", baseline),
        "ours, 1 worker": ("many", [*ours, "--workers", "1"]),
        "ours, 2 workers": ("many", [*ours, "--workers", "2"]),
        "ours, 2 workers, a quarter of them": ("few", [*ours, "--workers", "2"]),
    }
    print(f"{'writing':36}{'seconds':>10}{'pictures/s':>12}{'records/s':>12}{'GB':>8}")
    seconds = {}
    for title, (folder, command) in runs.items():
        if command is not baseline:
            command = [*command, "--background_input", str(scratch / folder)]
        measurements = []
        for _ in range(3):
            target.mkdir()
            measurements.append(measured(command))
            shutil.rmtree(target)
        taken, memory, _ = min(measurements)
        pictures = len(list((scratch / folder).iterdir()))
        records = pictures * len(crop_positions(*SIZE, 400, 200))
        seconds[title] = taken
        print(f"{title:36}{taken:10.2f}{pictures / taken:12.1f}{records / taken:12.0f}{memory:8.2f}", flush=True)
    published, one, two, _ = seconds.values()
    print(f"2 workers: {one / two:.2f} times as fast as 1, {published / two:.2f} times as fast as the published way\n")


def bench_reading(tfrecord: Path) -> None:
    """Records a second, in order and in shuffled order, beside TensorFlow's reader and the plain file."""
    tf = start_tensorflow()
    from metaf2n_tf.data.meta_batches import _shuffled
    from metaf2n_tf.data.tfrecords.records import open_set

    opened = open_set(str(tfrecord))
    positions = _shuffled(tf.data.Dataset.range(opened.count), opened.count, 0)

    def parse(example):
        label = tf.io.parse_single_example(example, {"label": tf.io.FixedLenFeature([], tf.string)})["label"]
        return tf.reshape(tf.io.decode_raw(label, tf.uint8), [400, 400, 3])

    def read_file() -> int:
        with tfrecord.open("rb", buffering=0) as stream:
            block = bytearray(1 << 23)
            while stream.readinto(block):
                pass
        return opened.count

    ways = {
        "the plain file": read_file,
        "tf.data, in order": lambda: sum(1 for _ in tf.data.TFRecordDataset(str(tfrecord)).map(parse)),
        "ours, shuffled": lambda: sum(1 for _ in opened.read(positions)),
        "ours, shuffled, batches of 16": lambda: sum(len(x) for x in opened.read(positions).batch(16)),
    }
    print(f"{'reading':34}{'records/s':>12}{'GB/s':>8}")
    for title, way in ways.items():
        rates = []
        for _ in range(3):
            began = time.perf_counter()
            rates.append(way() / (time.perf_counter() - began))
        print(f"{title:34}{max(rates):12.0f}{max(rates) * opened.record_bytes / 1e9:8.2f}", flush=True)
    print()


def load_tasks(tf, faces, backgrounds, shape):
    """The pictures and parameters of one meta-batch, as arrays."""
    from metaf2n_tf.data import degradation

    seeds = tf.random.split(tf.constant([5, 0]), TASKS)
    draw = tf.function(degradation.draw_parameters)
    parameters = [tf.nest.map_structure(lambda x: x.numpy(), draw(seed)) for seed in seeds]

    def pictures(opened):
        positions = tf.data.Dataset.range(TASKS * PAIRS).map(lambda index: 7 * index % opened.count)
        return [np.float32(x) / 255 for x in opened.read(positions).batch(PAIRS).as_numpy_iterator()]

    return parameters, pictures(faces), pictures(backgrounds)


def run_baseline(parameters, faces, backgrounds, stages):
    """A meta-batch in NumPy: LQ faces and backgrounds."""
    import numpy_chain

    rng, lq = np.random.default_rng(0), []
    for drawn, task_faces, task_backgrounds in zip(parameters, faces, backgrounds, strict=True):
        for face, background in zip(task_faces, task_backgrounds, strict=True):
            lq.append(numpy_chain.degrade(face, drawn, stages, rng))
            lq.append(numpy_chain.degrade(numpy_chain.usm(background), drawn, stages, rng))
    return lq


def bench_degrading(face_set: Path, background_set: Path) -> None:
    """The chain and its operations, beside NumPy's; and whole meta-batches."""
    tf = start_tensorflow()
    import numpy_chain

    from metaf2n_tf.data import degradation, meta_batches
    from metaf2n_tf.data.operations.usm import sharpen
    from metaf2n_tf.data.tfrecords.records import open_set
    from metaf2n_tf.faces.restore_batch import make_restorer

    faces, backgrounds = open_set(str(face_set)), open_set(str(background_set))
    shape = meta_batches.Shape(TASKS, PAIRS, 128, 256)
    tasks = load_tasks(tf, faces, backgrounds, shape)

    def planes(pictures):
        return tf.constant(pictures.transpose(0, 3, 1, 2))

    def run_ours(degrade, sharpen, stages):
        lq = []
        for drawn, task_faces, task_backgrounds in zip(*tasks, strict=True):
            drawn = tf.nest.map_structure(tf.constant, drawn)
            pair = [planes(task_faces), sharpen(planes(task_backgrounds))]
            pair = [degrade(x, drawn, tf.constant([1, 2]), stages).numpy().transpose(0, 2, 3, 1) for x in pair]
            lq += [picture for both in zip(*pair, strict=True) for picture in both]
        return lq

    silent = tuple(
        dataclasses.replace(stage, gaussian_sigma=(0, 0), poisson_scale=(0, 0)) for stage in degradation.STAGES
    )
    ours = run_ours(tf.function(degradation.degrade), tf.function(sharpen), silent)
    theirs = run_baseline(*tasks, silent)
    differences = np.concatenate([np.abs(np.int32(a) - b).ravel() for a, b in zip(ours, theirs, strict=True)])
    print(
        f"without noise {100 * (differences == 0).mean():.2f} % of the LQ values are the baseline's, the others differ"
    )
    print(f"by {differences.max()} level(s) at most\n")

    # One after the other, so that each operation's time is its own.
    seconds = {}

    def timed(title, function):
        compiled = tf.function(function, reduce_retracing=True)

        def wrapped(*arguments):
            began = time.perf_counter()
            result = compiled(*(tf.convert_to_tensor(x) if isinstance(x, float) else x for x in arguments))
            seconds[title] = seconds.get(title, 0) + time.perf_counter() - began
            return result

        return wrapped

    operations = {
        "filter2d": "filter2d",
        "resize_by": "resize",
        "resize_to": "resize",
        "jpeg": "jpeg",
        "gaussian_noise": "noise",
        "poisson_noise": "noise",
    }
    kept = {name: getattr(degradation, name) for name in operations}
    for name, title in operations.items():
        setattr(degradation, name, timed(title, kept[name]))
    sharpen_timed = timed("usm", sharpen)
    for _ in range(3):
        seconds.clear()
        run_ours(degradation.degrade, sharpen_timed, degradation.STAGES)
    for name, function in kept.items():
        setattr(degradation, name, function)
    for _ in range(2):
        numpy_chain.SECONDS.clear()
        began = time.perf_counter()
        run_baseline(*tasks, degradation.STAGES)
        baseline = time.perf_counter() - began
    print(f"{'16 pairs, one operation at a time':34}{'seconds':>10}{'share':>8}{'NumPy':>10}{'share':>8}{'ratio':>8}")
    total, their_total = sum(seconds.values()), sum(numpy_chain.SECONDS.values())
    for title, theirs in numpy_chain.SECONDS.items():
        mine = seconds[title]
        print(f"{title:34}{mine:10.3f}{mine / total:8.2f}{theirs:10.3f}{theirs / their_total:8.2f}{mine / theirs:8.2f}")
    print(f"{'all':34}{total:10.3f}{1:8.2f}{their_total:10.3f}{1:8.2f}{total / their_total:8.2f}\n", flush=True)

    print(f"{'a meta-batch, read to cropped':34}{'seconds':>10}{'pictures/s':>12}{'NumPy':>10}{'ratio':>8}")
    dataset = meta_batches.task_dataset(faces, backgrounds, shape)
    with meta_batches.MetaBatches(dataset, make_restorer("none", faces.side), shape) as batches:
        for _ in range(3):
            next(batches)
        began = time.perf_counter()
        for _ in range(BATCHES):
            next(batches)
        mine = (time.perf_counter() - began) / BATCHES
    pictures = 2 * TASKS * PAIRS
    print(f"{'no restorer':34}{mine:10.2f}{pictures / mine:12.1f}{baseline:10.2f}{mine / baseline:8.2f}", flush=True)


def bench_waiting(face_set: Path, background_set: Path) -> None:
    """GPEN-256 in the pipeline, and a training step beside it on the same cores."""
    tf = start_tensorflow()
    from face_weights import gpen_state_dict, to_params

    from metaf2n_tf.data import meta_batches
    from metaf2n_tf.data.tfrecords.records import open_set
    from metaf2n_tf.faces.restorers import gpen
    from metaf2n_tf.faces.restorers.aligned import Aligned
    from metaf2n_tf.faces.restorers.levels import cut_off
    from metaf2n_tf.meta import inner_loop
    from metaf2n_tf.weights.load import load_weights

    faces, backgrounds = open_set(str(face_set)), open_set(str(background_set))
    shape = meta_batches.Shape(TASKS, PAIRS, 128, 256)
    params = to_params(gpen_state_dict("gpen256"))
    restore = Aligned("gpen", None, params, gpen.restore, 256, batch_levels=cut_off).for_batches(256)
    faces_lq = tf.zeros([TASKS * PAIRS, 64, 64, 3], tf.uint8)
    compiled = tf.function(restore)
    compiled(faces_lq)
    began = time.perf_counter()
    for _ in range(4):
        compiled(faces_lq).numpy()
    print(f"GPEN-256, 16 faces at once: {(time.perf_counter() - began) / 4 / 16:.3f} s a face")

    weights = load_weights(ROOT / "weights" / "realesrgan-x4plus.npz").sr
    sr = {name: tf.constant(value) for name, value in weights.items()}

    @tf.function
    def step(lq, hq):
        loss, gradient = inner_loop.inner_gradient(sr, tf.ones_like(hq[..., :1]), lq, hq)
        return loss + sum(tf.reduce_sum(value) for value in gradient.values())

    def make():
        return meta_batches.MetaBatches(meta_batches.task_dataset(faces, backgrounds, shape), restore, shape)

    def step_tasks(batch):
        for task in range(TASKS):
            step(batch.inputa[task], batch.labela[task]).numpy()

    with make() as batches:
        for _ in range(3):
            next(batches)
        began = time.perf_counter()
        for _ in range(BATCHES):
            batch = next(batches)
        print(f"a meta-batch with GPEN-256: {(time.perf_counter() - began) / BATCHES:.2f} s")
    step_tasks(batch)
    began = time.perf_counter()
    for _ in range(3):
        step_tasks(batch)
    alone = (time.perf_counter() - began) / 3
    with make() as batches:
        step_tasks(next(batches))
        waiting, began = 0.0, time.perf_counter()
        for _ in range(BATCHES):
            asked = time.perf_counter()
            batch = next(batches)
            waiting += time.perf_counter() - asked
            step_tasks(batch)
        total = time.perf_counter() - began
    print(
        f"inner steps of a meta-batch: {alone:.2f} s alone, {total / BATCHES:.2f} s with the next batches made beside"
    )
    print(f"them on the same cores; waiting for data: {100 * waiting / total:.1f} % of the time", flush=True)


PARTS = {
    "write": write_published_way,
    "reading": bench_reading,
    "degrading": bench_degrading,
    "waiting": bench_waiting,
}


def main(_: list[str]) -> None:
    """Measure everything, or run one part."""
    if flags.FLAGS.part:
        name, *folders = flags.FLAGS.part
        PARTS[name](*map(Path, folders))
        return
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        make_pictures(scratch / "many", PICTURES)
        make_pictures(scratch / "few", PICTURES // 4)
        bench_writing(scratch)
        face = cv2.imread(str(ROOT / "datasets" / "sample" / "GT" / "grace_hopper.png"))[56:312, 100:356]
        (scratch / "faces").mkdir()
        for index in range(16):
            cv2.imwrite(str(scratch / "faces" / f"{index}.png"), np.roll(face, 16 * index, 1))
        script = str(ROOT / "scripts" / "generate_tfrecord.py")
        sources = ["--face_input", str(scratch / "faces"), "--background_input", str(scratch / "few")]
        measured([sys.executable, script, *sources, "--output_dir", str(scratch / "sets")])
        background_set, face_set = scratch / "sets" / "back400.tfrecord", scratch / "sets" / "whole_face.tfrecord"
        in_child(bench_reading, background_set)
        in_child(bench_degrading, face_set, background_set)
        in_child(bench_waiting, face_set, background_set)


if __name__ == "__main__":
    app.run(main)
