"""Speed and memory of a meta-training step, with the published way run beside it.

  python benchmarks/meta_step.py    # about 8 minutes on 2 CPU cores
  python benchmarks/meta_step.py --meta_batch 4 --task_batch 4 --height 128 --height1 256    # the published sizes

The workload: crops of the sample photo, the real Real-ESRGAN and LPIPS weights, an untrained MaskNet and
discriminator. The baseline, benchmarks/published_meta_step.py, evaluates one TF1 graph two or, on steps that are
printed, three times a step. Ours does the same step in one program, and on steps that are printed judges the unadapted
outputs too. Images are not encoded in either. Each runs in a process of its own, in turn.
"""

import dataclasses
import functools
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from absl import app, flags
from children import in_child, measured

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

VARIANTS = {
    "ours": {},
    "first_order": {"first_order": True},
    "recompute_blocks": {"recompute_blocks": True},
    "mixed_precision": {"mixed_precision": True},
}
BASELINE = "published"
TERMS = ("inner", "outer", "l1", "lpips", "gan", "discriminator", "unadapted")

flags.DEFINE_integer("meta_batch", 2, "Tasks a step (META_BATCH_SIZE).")
flags.DEFINE_integer("task_batch", 2, "Pairs a task (TASK_BATCH_SIZE).")
flags.DEFINE_integer("height", 32, "Side of the face patches, HQ pixels (HEIGHT).")
flags.DEFINE_integer("height1", 64, "Side of the background patches, HQ pixels (HEIGHT1).")
flags.DEFINE_integer("task_iter", 1, "Inner steps (TASK_ITER).")
flags.DEFINE_float("task_lr", 1e-2, "Rate of the inner steps (TASK_LR).")
flags.DEFINE_integer("blocks", 23, "RRDB blocks of the SR network.", 1, 23)
flags.DEFINE_integer("steps", 3, "Steps that are timed in each process, after the first.", 1)
flags.DEFINE_bool("xla", None, "Compile ours with XLA; on GPUs by default. On a CPU that takes minutes.")
flags.DEFINE_string("run", None, "Run one of them in this process (used by the benchmark itself).")
flags.DEFINE_string("folder", None, "Workload of --run.")


def prepare(folder: Path, blocks: int, sizes: tuple[int, int, int, int]) -> None:
    """Write weights and meta-batch."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device("-1")
    from training_workload import cut_meta_batch, real_weights

    np.savez(folder / "weights.npz", **real_weights(blocks))
    np.savez(folder / "batch.npz", **cut_meta_batch(*sizes))


def read(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an .npz."""
    with np.load(path) as arrays:
        return dict(arrays)


def gpu_memory() -> float | None:
    """Largest memory in use on the GPU so far, in GB."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9


def time_steps(train: Callable[[], None], watch: Callable[[], None], steps: int) -> dict:
    """Seconds of the steps and of watching them, by call, and the peak memory in GB."""
    seconds = {"train": [], "watch": []}
    for _ in range(1 + steps):
        for name, function in (("train", train), ("watch", watch)):
            began = time.monotonic()
            function()
            seconds[name].append(time.monotonic() - began)
    return seconds | {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "gpu": gpu_memory()}


def save(folder: Path, name: str, losses: dict, gradient: dict) -> None:
    """Write the first step's losses and gradient, for `differences`."""
    losses = {f"loss_{term}": np.ravel(value) for term, value in losses.items()}
    np.savez(
        folder / f"{name}.npz", **losses, gradient=np.concatenate([np.ravel(gradient[n]) for n in sorted(gradient)])
    )


def run_ours(folder: Path, name: str, steps: int) -> dict:
    """Time our step in this process."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    device = runtime.select_device(None)
    import tensorflow as tf
    from training_workload import discriminator_of, generator, perceptual

    from metaf2n_tf.data.meta_batches import MetaBatch
    from metaf2n_tf.meta import adam
    from metaf2n_tf.meta.meta_step import MetaStep, initial_state
    from metaf2n_tf.meta.method import Method

    args = flags.FLAGS
    weights, arrays = read(folder / "weights.npz"), read(folder / "batch.npz")
    step = MetaStep(
        Method(
            args.meta_batch,
            args.task_lr,
            args.task_iter,
            meta_lr=3e-5,
            discriminator_lr=1e-4,
            decay_step_weights=False,
        ),
        {key: tf.constant(value) for key, value in perceptual(weights).items()},
        xla=device == "GPU" if args.xla is None else args.xla,
    )
    step = dataclasses.replace(step, **VARIANTS[name])
    start = functools.partial(initial_state, generator(weights), discriminator_of(weights))
    state, report, unadapted = start(), None, None

    def batch() -> MetaBatch:
        return MetaBatch(**{key: tf.constant(value) for key, value in arrays.items()}, labela_gt=arrays["labela"])

    def train() -> None:
        nonlocal state, report
        state, report = step.compiled(state, batch(), tf.constant(0))
        tf.test.experimental.sync_devices()

    def watch() -> None:
        nonlocal unadapted
        unadapted = step.compiled_unadapted(state, batch())
        tf.nest.map_structure(np.array, (report, unadapted))

    result = time_steps(train, watch, steps)
    state = start()
    watch()
    train()
    losses = {term: getattr(report.losses, term) for term in TERMS[:-1]} | {"unadapted": unadapted.outer}
    for term in ("l1", "lpips", "gan"):
        losses[term] = [getattr(unadapted, term), *losses[term]]
    gradient = {key: value.numpy() / (1 - adam.BETA1) for key, value in state.generator_adam.first.items()}
    save(folder, name, losses, gradient)
    return result


def run_published(folder: Path, steps: int) -> dict:
    """Time the baseline in this process."""
    import tensorflow as tf

    tf.compat.v1.disable_v2_behavior()
    from published_meta_step import PublishedStep

    args = flags.FLAGS
    began = time.monotonic()
    step = PublishedStep(read(folder / "weights.npz"), read(folder / "batch.npz"), args.task_lr, args.task_iter)
    built = time.monotonic() - began
    result = time_steps(step.train, step.watch, steps)
    result["train"][0] += built
    step.load()
    save(folder, BASELINE, *step.evaluate())
    return result


def measure(folder: Path, names: list[str]) -> dict[str, dict]:
    """Run each in processes of its own, in the order given, and put together what those of the same name say."""
    args = flags.FLAGS
    results = {}
    for name in names:
        command = [sys.executable, __file__, *args.flags_into_string().splitlines(), "--run", name, "--folder", folder]
        try:
            one = json.loads(measured(list(map(str, command)))[2].splitlines()[-1])
        except SystemExit as error:
            print(f"{name}: {str(error)[-200:]}", flush=True)
            continue
        parts = {part: one[part][1:] for part in ("train", "watch")}
        known = results.setdefault(
            name, {"first": one["train"][0] + one["watch"][0], "train": [], "watch": [], "host": 0.0, "gpu": None}
        )
        for part, seconds in parts.items():
            known[part] += seconds
        known["host"] = max(known["host"], one["host"])
        known["gpu"] = one["gpu"]
        print(f"{name}: {', '.join(f'{seconds:.2f}' for seconds in parts['train'])} s", flush=True)
    return results


def differences(folder: Path, name: str, other: str) -> tuple[float, float]:
    """Largest relative difference of the losses, and the norm of the gradients' difference as a part of the other's."""
    mine, theirs = read(folder / f"{name}.npz"), read(folder / f"{other}.npz")
    losses = max(float(np.abs(mine[f"loss_{term}"] / theirs[f"loss_{term}"] - 1).max()) for term in TERMS)
    gradient = np.linalg.norm(mine["gradient"] - theirs["gradient"]) / np.linalg.norm(theirs["gradient"])
    return losses, float(gradient)


def figures(result: dict) -> dict[str, float]:
    """The rows of the tables."""
    watched = [train + watch for train, watch in zip(result["train"], result["watch"], strict=True)]
    rows = {
        "first step, with tracing and compiling, s": result["first"],
        "step, s": median(result["train"]),
        "step that is printed, s": median(watched),
        "peak memory of the process, GB": result["host"],
    }
    return rows if result["gpu"] is None else rows | {"peak memory on the GPU, GB": result["gpu"]}


def compare(title: str, mine: dict, other_title: str, other: dict) -> None:
    """Print a table."""
    print(f"\n{'':44}{title:>18}{other_title:>18}{'ratio':>8}")
    for row, value in figures(mine).items():
        baseline = figures(other)[row]
        print(f"{row:44}{value:18.2f}{baseline:18.2f}{value / baseline:8.2f}", flush=True)


def main(_: list[str]) -> None:
    """Measure everything, or run one alone."""
    args = flags.FLAGS
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.run:
        folder = Path(args.folder)
        run = run_published if args.run == BASELINE else functools.partial(run_ours, name=args.run)
        print(json.dumps(run(folder=folder, steps=args.steps)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        in_child(prepare, folder, args.blocks, (args.meta_batch, args.task_batch, args.height, args.height1))
        first, *variants = VARIANTS
        names = [first, BASELINE, first, *variants]
        results = measure(folder, names)
        if first not in results:
            raise SystemExit("our step failed")
        for name, result in results.items():
            if name == first:
                continue
            compare(first, results[first], name, result)
            if name != "first_order":
                losses, gradient = differences(folder, name, first)
                print(f"relative difference: losses {losses:.1e}, generator's gradient {gradient:.1e}")
        if BASELINE in results and differences(folder, first, BASELINE)[0] > 1e-3:
            raise SystemExit("the losses of ours and of the baseline differ")
        if missing := set(names) - set(results):
            raise SystemExit(f"failed: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    app.run(main)
