"""Writes a meta-step and an inner step as StableHLO, which runs wherever XLA does, without TensorFlow.

  python benchmarks/portable_step.py --output FOLDER --jax_python PYTHON
  python benchmarks/portable_step.py --output FOLDER --blocks 2 --width 16 --jax_python PYTHON    # some minutes

For each, FOLDER gets NAME.mlir, the program; NAME.json, its arguments and results in order; NAME.npz, arguments and
TensorFlow's own results, as arg_0, result_0 and so on. With a Python interpreter that has JAX the programs are
compiled and compared on the CPU by benchmarks/jax_step.py, which also times them on any device. XLA takes minutes to
compile the published network for a CPU, a small one takes seconds.
"""

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

flags.DEFINE_string("output", None, "Folder to write to.", required=True)
flags.DEFINE_integer("blocks", 23, "RRDB blocks of the SR network.", 1)
flags.DEFINE_integer("width", 64, "Its features; fewer than 64 are drawn at random.", 4)
flags.DEFINE_integer("meta_batch", 2, "Tasks a step (META_BATCH_SIZE).")
flags.DEFINE_integer("task_batch", 1, "Pairs a task (TASK_BATCH_SIZE); the inner step takes as many patches.")
flags.DEFINE_integer("height", 32, "Side of the face patches, HQ pixels (HEIGHT).")
flags.DEFINE_integer("height1", 64, "Side of the background patches, HQ pixels (HEIGHT1).")
flags.DEFINE_bool("first_order", False, "A first-order meta-step.")
flags.DEFINE_bool("recompute_blocks", False, "Keep the inputs of RRDB blocks only.")
flags.DEFINE_bool("mixed_precision", False, "SR network and discriminator in bfloat16.")
flags.DEFINE_string("jax_python", None, "Python interpreter that has JAX, for the comparison.")


def named(structure: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested dicts and tuples with their paths, in the order of `tf.nest.flatten`."""
    if isinstance(structure, dict):
        parts = ((name, structure[name]) for name in sorted(structure))
    elif hasattr(structure, "_fields"):
        parts = zip(structure._fields, structure, strict=True)
    elif isinstance(structure, (list, tuple)):
        parts = ((str(index), part) for index, part in enumerate(structure))
    else:
        yield prefix, structure
        return
    for name, part in parts:
        yield from named(part, f"{prefix}/{name}" if prefix else name)


def export(folder: Path, name: str, function: Callable, arguments: dict[str, Any]) -> None:
    """Write a program, its description, its arguments and TensorFlow's results.

    Args:
      folder: where to.
      name: of the files.
      function: of nested tensors by name, all static in shape; must create no variables.
      arguments: values to call it with.
    """
    import tensorflow as tf

    arguments = tf.nest.map_structure(tf.convert_to_tensor, arguments)
    inputs = tf.nest.flatten(arguments)

    def flat(*values: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(function(**tf.nest.pack_sequence_as(arguments, values)))

    paths = [
        path
        for path, _ in named(
            tf.function(function, autograph=False).get_concrete_function(**arguments).structured_outputs
        )
    ]
    results = tf.function(flat, autograph=False)(*inputs)
    text = tf.function(flat, jit_compile=True, autograph=False).experimental_get_compiler_ir(*inputs)(stage="stablehlo")
    taken = next(line for line in text.splitlines() if "@main(" in line).partition(") -> ")[0].count("%arg")
    if taken != len(inputs):
        raise SystemExit(f"{name}: XLA made constants of {len(inputs) - taken} arguments")
    text = re.sub(r"^(#loc\d*) = .*$", r"\1 = loc(unknown)", text, flags=re.MULTILINE)  # lines of source files

    def describe(names: list[str], tensors: list[tf.Tensor]) -> list[dict]:
        return [
            {"name": path, "shape": x.shape.as_list(), "dtype": x.dtype.name}
            for path, x in zip(names, tensors, strict=True)
        ]

    description = {
        "arguments": describe([path for path, _ in named(arguments)], inputs),
        "results": describe(paths, results),
    }
    (folder / f"{name}.mlir").write_text(text)
    (folder / f"{name}.json").write_text(json.dumps(description, indent=1))
    values = {f"arg_{index}": x.numpy() for index, x in enumerate(inputs)}
    values |= {f"result_{index}": x.numpy() for index, x in enumerate(results)}
    np.savez(folder / f"{name}.npz", **values)


def draw_weights(blocks: int, width: int) -> dict[str, np.ndarray]:
    """A small network's random weights, and all others, untrained."""
    from metaf2n_tf.networks import discriminator, lpips, masknet, rrdbnet

    rng = np.random.default_rng(0)
    shapes = rrdbnet.variable_shapes(blocks, width, width // 2) | lpips.variable_shapes()
    weights = {
        name: np.float32(rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))) for name, shape in shapes.items()
    }
    return weights | masknet.initial_params(seed=0) | discriminator.initial_params(0, width)


def export_meta_step(
    folder: Path, weights: dict[str, np.ndarray], batch: dict[str, np.ndarray], **options: bool
) -> None:
    """Write `MetaStep.compiled` with the published rates; LPIPS's weights are arguments as all others."""
    import tensorflow as tf
    from training_workload import discriminator_of, generator, perceptual

    from metaf2n_tf.data.meta_batches import MetaBatch
    from metaf2n_tf.meta.meta_step import MetaStep, Report, TrainingState, initial_state
    from metaf2n_tf.meta.method import Method

    tasks = len(batch["inputa"])
    method = Method(tasks, task_lr=1e-2, task_iter=1, meta_lr=3e-5, discriminator_lr=1e-4)
    settings = MetaStep(method, {}, **options)

    def meta_step(state: TrainingState, batch: dict, step: tf.Tensor, perceptual: dict) -> tuple[TrainingState, Report]:
        batch = MetaBatch(**batch, labela_gt=batch["labela"])
        return dataclasses.replace(settings, lpips_params=perceptual).compiled(state, batch, step)

    arguments = {
        "state": initial_state(generator(weights), discriminator_of(weights)),
        "batch": batch,
        "step": 0,
        "perceptual": perceptual(weights),
    }
    export(folder, "meta_step", meta_step, arguments)


def export_inner_step(folder: Path, weights: dict[str, np.ndarray], lq: np.ndarray, hq: np.ndarray) -> None:
    """Write one step of the inner loop."""
    import tensorflow as tf
    from training_workload import in_scopes

    from metaf2n_tf.meta.inner_loop import inner_gradient, sgd_update
    from metaf2n_tf.networks import rrdbnet

    def inner_step(
        params: dict, weight_map: tf.Tensor, lq: tf.Tensor, hq: tf.Tensor, task_lr: tf.Tensor
    ) -> dict[str, Any]:
        # A block as a function of its own would make XLA take its weights for constants.
        forward = functools.partial(rrdbnet.forward, run_block=rrdbnet.block)
        loss, gradient = inner_gradient(params, weight_map, lq, hq, forward)
        return {"loss": loss, "params": sgd_update(params, gradient, task_lr)}

    arguments = {
        "params": in_scopes(weights, rrdbnet.SCOPE),
        "weight_map": np.ones_like(hq[..., :1]),
        "lq": lq,
        "hq": hq,
        "task_lr": np.float32(1e-2),
    }
    export(folder, "inner_step", inner_step, arguments)


def main(_: list[str]) -> None:
    """Write both, and compare them if there is JAX."""
    args = flags.FLAGS
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device("-1")
    from training_workload import cut_meta_batch, real_weights

    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    weights = real_weights(args.blocks) if args.width == 64 else draw_weights(args.blocks, args.width)
    batch = cut_meta_batch(args.meta_batch, args.task_batch, args.height, args.height1)
    options = {name: args[name].value for name in ("first_order", "recompute_blocks", "mixed_precision")}
    export_inner_step(folder, weights, batch["inputa"][0], batch["labela"][0])
    export_meta_step(folder, weights, batch, **options)
    for program in sorted(folder.glob("*.mlir")):
        print(f"{program}: {program.stat().st_size / 1e6:.1f} MB")
    compare = [str(ROOT / "benchmarks" / "jax_step.py"), str(folder), "--steps", "0"]
    if args.jax_python is None:
        print(f"not compared with TensorFlow: that takes a Python with JAX, --jax_python or PYTHON {' '.join(compare)}")
        return
    sys.exit(subprocess.run([args.jax_python, *compare], env=os.environ | {"JAX_PLATFORMS": "cpu"}).returncode)


if __name__ == "__main__":
    app.run(main)
