"""`make train-demo`: a meta-training that is small enough for two CPU cores, and what it is good for.

A narrow SR network, which begins as an enlargement by nearest neighbour, is meta-trained by main.py on four pictures.
The restored faces are the faces as they were before degradation, so that no restorer is needed. Checkpoints are then
judged on another picture and other degradations, before and after one inner step. Everything lands in
results/train_demo.
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

import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from demo import command  # noqa: E402

import config  # noqa: E402
from metaf2n_tf.data import files  # noqa: E402
from metaf2n_tf.data.meta_batches import MetaBatches, Shape, task_dataset  # noqa: E402
from metaf2n_tf.data.tfrecords.records import open_set  # noqa: E402
from metaf2n_tf.meta import checkpoint  # noqa: E402
from metaf2n_tf.meta.meta_step import MetaStep, TrainingState, initial_state  # noqa: E402
from metaf2n_tf.meta.method import Method  # noqa: E402
from metaf2n_tf.meta.settings import read_settings  # noqa: E402
from metaf2n_tf.networks import discriminator, masknet, rrdbnet  # noqa: E402
from metaf2n_tf.weights.lpips import load_lpips  # noqa: E402

SAMPLE, OUT = ROOT / "datasets" / "sample", ROOT / "results" / "train_demo"
STEPS, SAVE_ITER, HELD_OUT_BATCHES, HELD_OUT_SEED = 300, 50, 16, 1
BLOCKS, WIDTH, GROWTH, DISCRIMINATOR_WIDTH = 2, 16, 8, 8
SET = {
    "TFRECORD_PATH0": OUT / "data" / "whole_face.tfrecord",
    "TFRECORD_PATH1": OUT / "data" / "back400.tfrecord",
    "CHECKPOINT_DIR": OUT,
    "LOG_DIR": OUT / "logs",
    "RESTORER": "ground_truth",
    "META_ITER": STEPS,
    "SAVE_ITER": SAVE_ITER,
    "PRINT_ITER": 50,
    "META_LR": 5e-4,
    "TASK_LR": 1e-1,
    "TASK_BATCH_SIZE": 2,
    "HEIGHT": 32,
    "WIDTH": 32,
    "HEIGHT1": 64,
    "WIDTH1": 64,
}


def narrow_networks(seed: int) -> TrainingState:
    """Drawn networks; the SR network carries the colours through its first channels, else it is near zero."""
    rng = np.random.default_rng(seed)
    sr = {}
    for name, shape in rrdbnet.variable_shapes(BLOCKS, WIDTH, GROWTH).items():
        fan_in = np.prod(shape[:-1])
        sr[name] = np.float32(rng.normal(0, 0.1 / np.sqrt(fan_in), shape) if len(shape) > 1 else np.zeros(shape))
    for conv in ("conv_first", "conv_up1", "conv_up2", "conv_hr", "conv_last"):
        for colour in range(3):
            sr[f"{rrdbnet.SCOPE}/{conv}/weight"][1, 1, colour, colour] += 1
    mask = masknet.initial_params(seed)
    mask[f"{masknet.SCOPE}/conv{masknet.NUM_CONV}/bias"] += 0.1  # so that the high learning rate cannot turn it off
    return initial_state(sr | mask, discriminator.initial_params(seed, DISCRIMINATOR_WIDTH))


def judge_checkpoints(steps: list[int]) -> dict[str, np.ndarray]:
    """Outer loss on held-out batches, `{name: (checkpoints, batches)}`, unadapted and after one inner step."""
    settings = read_settings(config, [f"{name}={value}" for name, value in SET.items()])
    shape = Shape.of(settings)
    faces, backgrounds = (open_set(str(OUT / "held_out" / f"{name}.tfrecord")) for name in ("whole_face", "back400"))
    with MetaBatches(task_dataset(faces, backgrounds, shape, HELD_OUT_SEED), None, shape) as made:
        batches = [next(made) for _ in range(HELD_OUT_BATCHES)]
    meta_step = MetaStep(
        Method(settings.META_BATCH_SIZE, settings.TASK_LR, task_iter=1, meta_lr=0.0, discriminator_lr=0.0),
        load_lpips(settings.LPIPS_WEIGHTS),
        xla=False,
    )
    results = {"unadapted": [], "adapted": []}
    for step in steps:
        state = tf.nest.map_structure(tf.constant, checkpoint.restore(OUT / "Model0" / f"model-{step}"))
        before = [meta_step.compiled_unadapted(state, batch) for batch in batches]
        after = [meta_step.compiled(state, batch, tf.constant(0))[1].losses for batch in batches]
        results["unadapted"].append([float(terms.outer) for terms in before])
        results["adapted"].append([float(losses.outer[-1]) for losses in after])
    return {name: np.array(values) for name, values in results.items()}


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the batches."""
    return values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])


def draw(steps: list[int], results: dict[str, np.ndarray]) -> None:
    """The loss, and what the inner step gains, over the meta-steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, style in (("unadapted", "--"), ("adapted", "-")):
        left.plot(steps, results[name].mean(axis=1), style, label=name)
    left.set(xlabel="meta-steps", title="outer loss on held-out degradations")
    left.legend()
    gain = results["unadapted"] - results["adapted"]
    right.errorbar(steps, gain.mean(axis=1), standard_error(gain), marker="o", capsize=3)
    right.axhline(0, color="gray", linewidth=1)
    right.set(xlabel="meta-steps", title="what one inner step takes off it (mean, standard error)")
    figure.savefig(OUT / "curve.png", dpi=80)


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    training, held_out = SAMPLE / "training", SAMPLE / "GT"
    for name, backgrounds, faces in (
        ("data", training / "backgrounds", training / "faces"),
        ("held_out", held_out, held_out),
    ):
        inputs = ("--background_input", backgrounds, "--face_input", faces)
        command("scripts/generate_tfrecord.py", *inputs, "--output_dir", OUT / name, "--overwrite")
    shutil.rmtree(OUT / "Model0", ignore_errors=True)
    files.make_folder(OUT / "Model0")
    checkpoint.save(OUT / "Model0", narrow_networks(seed=0), 0, False, 0)
    settings = [argument for name, value in SET.items() for argument in ("--set", f"{name}={value}")]
    command("main.py", "--trial", "0", "--resume", "--gpu", "-1", *settings)

    steps = list(range(0, STEPS + 1, SAVE_ITER))
    results = judge_checkpoints(steps)
    gain = results["unadapted"] - results["adapted"]
    columns = {**{name: values.mean(axis=1) for name, values in results.items()}, "gain": gain.mean(axis=1)}
    columns["standard error"] = standard_error(gain)
    print(f"\n{'steps':>6}" + "".join(f"{name:>16}" for name in columns))
    for index, step in enumerate(steps):
        print(f"{step:6}" + "".join(f"{values[index]:16.4f}" for values in columns.values()))
    print(
        f"after {STEPS} steps adapted is better on {np.sum(gain[-1] > 0)} of {HELD_OUT_BATCHES} held-out meta-batches"
    )
    draw(steps, results)
    print(f"\ncurve: {(OUT / 'curve.png').relative_to(ROOT)}   ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
