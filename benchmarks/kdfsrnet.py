"""Speed, memory and agreement of KDFSRNet's student and of its training step, with PyTorch run beside them.

  python benchmarks/kdfsrnet.py --torch_python PYTHON    # about 3 minutes on 2 CPU cores

The baseline, benchmarks/torch_kdfsrnet.py, needs an interpreter that has PyTorch and NumPy. Both start from the same
weights; the networks are of the published size.
"""

import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from beside_torch import compare

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CASES = {
    "student, 1 face of 128": ("forward", 1, 128),
    "student, 8 faces of 128": ("forward", 8, 128),
    "student, 1 face of 512": ("forward", 1, 512),
    "step with teacher, 2 of 128": ("step", 2, 128),
}

RUNS = 4

flags.DEFINE_string("torch_python", sys.executable, "Python interpreter that has PyTorch.")
flags.DEFINE_multi_string("ours", None, "Run ours: forward or step, and folder (used by the benchmark itself).")


def prepare(_: str, count: int, side: int, folder: Path) -> None:
    """Write weights and input."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    from metaf2n_tf.networks import kdfsrnet

    for seed, (name, architecture) in enumerate({"student": kdfsrnet.STUDENT, "teacher": kdfsrnet.TEACHER}.items()):
        params = kdfsrnet.initial_params(seed, architecture)
        published = {name: value.transpose(3, 2, 0, 1) if value.ndim == 4 else value for name, value in params.items()}
        np.savez(folder / f"{name}.npz", **{name: np.ascontiguousarray(value) for name, value in published.items()})
    levels = np.random.default_rng(0).integers(0, 256, (count, side, side, 9), np.uint8)
    np.save(folder / "levels.npy", levels)
    np.save(folder / "input.npy", np.ascontiguousarray(np.float32(levels).transpose(0, 3, 1, 2) / np.float32(255)))


def run_ours(what: str, folder: Path) -> None:
    """Time ours in this process, as benchmarks/torch_kdfsrnet.py does the other."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device(None)
    import tensorflow as tf

    from metaf2n_tf.distillation.losses import distillation_weights
    from metaf2n_tf.distillation.step import TrainingStep, initial_state
    from metaf2n_tf.weights.pth import to_tf_layout

    params = {}
    for network in ("student", "teacher"):
        with np.load(folder / f"{network}.npz") as arrays:
            params[network] = {name: to_tf_layout(arrays[name]) for name in arrays.files}
    step = TrainingStep(initial_state(params["student"]), 1e-4, params["teacher"])
    faces = tf.constant(np.load(folder / "levels.npy"))
    seconds, output = [], []
    for _ in range(RUNS):
        began = time.monotonic()
        if what == "step":
            output.append(float(step(faces, distillation_weights(0))[0].total))
        else:
            restored = step.restore(faces).numpy()
        seconds.append(time.monotonic() - began)
    np.save(folder / "output.npy", np.array(output) if what == "step" else restored.transpose(0, 3, 1, 2))
    print(*seconds)


def main(_: list[str]) -> None:
    """Measure everything, or run ours alone."""
    args = flags.FLAGS
    if args.ours:
        run_ours(args.ours[0], Path(args.ours[1]))
    else:
        compare(CASES, prepare, __file__, "torch_kdfsrnet.py", args.torch_python)


if __name__ == "__main__":
    app.run(main)
