"""Writes what a GPU is wanted for as StableHLO, which runs wherever XLA does, without TensorFlow.

  python benchmarks/portable.py --output FOLDER --jax_python PYTHON                # small networks, some minutes
  python benchmarks/portable.py --output FOLDER --published --jax_python PYTHON    # to measure a GPU; make bench-gpu

The programs are both SR networks forward, in float32 and in bfloat16, an inner step and meta-steps of each. FOLDER gets
NAME.mlir, the program; NAME.json, its arguments and results in order; arrays/HASH.npy, their values. With a Python
interpreter that has JAX, benchmarks/portable_in_jax.py compiles them and either compares their results with
TensorFlow's on the CPU, or, with --published, times them on the device that JAX finds: networks, tiles, patches and
meta-batches are as published then, and TensorFlow, for which they are too much on a CPU, only writes them.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

flags.DEFINE_string("output", None, "Folder to write to.", required=True)
flags.DEFINE_bool("published", False, "Networks and sizes as published, to be timed; else small ones, to be compared.")
flags.DEFINE_list("networks", ["x4plus", "compact"], "SR networks to write programs of.")
flags.DEFINE_string("jax_python", None, "Python interpreter that has JAX.")


class Sizes(NamedTuple):
    """What the programs are made of.

    networks: blocks, or convolutions between first and last one, and width of each; forward: batches and sides of the
    tiles, LQ pixels; inner: patches and their side, HQ pixels; meta: tasks, pairs a task, sides of face and background
    patches, HQ pixels.
    """

    networks: dict[str, tuple[int, int]]
    forward: list[tuple[int, int]]
    inner: tuple[int, int]
    meta: tuple[int, int, int, int]


SMALL = Sizes({"x4plus": (2, 16), "compact": (3, 16)}, [(2, 16)], (2, 32), (2, 1, 32, 64))
PUBLISHED = Sizes(
    {"x4plus": (23, 64), "compact": (32, 64)},
    [(1, 128), (4, 128), (16, 128), (1, 256), (4, 256), (1, 512)],
    (16, 64),
    (4, 4, 128, 256),
)
# Not with mixed_precision: TensorFlow makes sums of bfloat16 and float32 of it, which StableHLO has none of.
META_STEPS = {"meta_step": {}, "meta_step_first_order": {"first_order": True}}


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


def convolution_flop(graph: Any) -> int:
    """Multiplications and additions of the convolutions in a TensorFlow graph without loops and calls."""
    convolutions = [op for op in graph.get_operations() if op.type == "Conv2D"]
    return sum(2 * np.prod(op.outputs[0].shape) * np.prod(op.inputs[1].shape[:3]) for op in convolutions)


class Exporter:
    """Writes programs into a folder.

    folder: which; compared: with TensorFlow's results, which are computed for it.
    """

    def __init__(self, folder: Path, compared: bool):
        """Make the folder, and remove the programs that an earlier run left there."""
        (folder / "arrays").mkdir(parents=True, exist_ok=True)
        for old in [*folder.glob("*.mlir"), *folder.glob("*.json"), *folder.glob("arrays/*.npy")]:
            old.unlink()
        self.folder, self.compared = folder, compared

    def _kept(self, array: np.ndarray) -> str:
        """The name under which the array lies in the folder; equal ones lie there once."""
        data = io.BytesIO()
        np.save(data, array)
        name = hashlib.sha256(data.getvalue()).hexdigest()[:16]
        (self.folder / "arrays" / f"{name}.npy").write_bytes(data.getvalue())
        return name

    def write(self, name: str, function: Callable, arguments: dict[str, Any], **facts: Any) -> None:
        """Write a program, its description, its arguments and TensorFlow's results.

        Args:
          name: of the files.
          function: of nested tensors by name, all static in shape; must create no variables.
          arguments: values to call it with.
          facts: what else its description says.
        """
        import tensorflow as tf

        arguments = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        inputs = tf.nest.flatten(arguments)

        def flat(*values: tf.Tensor) -> list[tf.Tensor]:
            return tf.nest.flatten(function(**tf.nest.pack_sequence_as(arguments, values)))

        traced = tf.function(function, autograph=False).get_concrete_function(**arguments)
        paths = [path for path, _ in named(traced.structured_outputs)]
        lower = tf.function(flat, jit_compile=True, autograph=False).experimental_get_compiler_ir(*inputs)
        text = lower(stage="stablehlo")
        taken = next(line for line in text.splitlines() if "@main(" in line).partition(") -> ")[0].count("%arg")
        if taken != len(inputs):
            raise SystemExit(f"{name}: XLA made constants of {len(inputs) - taken} arguments")
        text = re.sub(r"^(#loc\d*) = .*$", r"\1 = loc(unknown)", text, flags=re.MULTILINE)  # lines of source files

        def describe(names: list[str], tensors: list[tf.Tensor]) -> list[dict]:
            return [
                {"name": path, "shape": x.shape.as_list(), "dtype": x.dtype.name, "array": self._kept(x.numpy())}
                for path, x in zip(names, tensors, strict=True)
            ]

        description = facts | {"arguments": describe([path for path, _ in named(arguments)], inputs)}
        if self.compared:
            description["results"] = describe(paths, tf.function(flat, autograph=False)(*inputs))
        if "lq_pixels" in facts:
            description["flop"] = int(convolution_flop(traced.graph))
        (self.folder / f"{name}.mlir").write_text(text)
        (self.folder / f"{name}.json").write_text(json.dumps(description, indent=1))
        print(f"{name}: {len(text) / 1e6:.1f} MB", flush=True)


def draw_weights(network: str, depth: int, width: int) -> dict[str, np.ndarray]:
    """Random weights of an SR network and of all others; what they are makes no difference to the time."""
    from metaf2n_tf.networks import discriminator, lpips, masknet, rrdbnet, srvgg

    rng = np.random.default_rng(0)
    of_network = {
        "x4plus": rrdbnet.variable_shapes(depth, width, width // 2),
        "compact": srvgg.variable_shapes(depth, width),
    }
    shapes = of_network[network] | lpips.variable_shapes()
    weights = {
        name: np.float32(rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))) for name, shape in shapes.items()
    }
    return weights | masknet.initial_params(seed=0) | discriminator.initial_params(0, width)


def export_forward(exporter: Exporter, name: str, weights: dict, precision: str, batch: int, side: int) -> None:
    """Write a network's forward pass of a batch of tiles, (batch, side, side, 3); weights and results are float32."""
    import tensorflow as tf
    from training_workload import in_scopes

    from metaf2n_tf.networks import sr

    params = in_scopes(weights, sr.SCOPE)
    network = sr.network_of(params)

    def forward(params: dict, images: tf.Tensor) -> tf.Tensor:
        params = {name: tf.cast(value, precision) for name, value in params.items()}
        return tf.cast(network.forward(params, tf.cast(images, precision), network.block), tf.float32)

    images = np.float32(np.random.default_rng(1).uniform(size=(batch, side, side, 3)))
    facts = {"precision": precision, "lq_pixels": batch * side * side}
    exporter.write(name, forward, {"params": params, "images": images}, **facts)


def export_inner_step(exporter: Exporter, name: str, weights: dict, lq: np.ndarray, hq: np.ndarray) -> None:
    """Write one step of the inner loop."""
    import tensorflow as tf
    from training_workload import in_scopes

    from metaf2n_tf.meta.inner_loop import inner_gradient, sgd_update
    from metaf2n_tf.networks import sr

    params = in_scopes(weights, sr.SCOPE)
    network = sr.network_of(params)
    # A block as a function of its own would make XLA take its weights for constants.
    forward = functools.partial(network.forward, run_block=network.block)

    def inner_step(
        params: dict, weight_map: tf.Tensor, lq: tf.Tensor, hq: tf.Tensor, task_lr: tf.Tensor
    ) -> dict[str, Any]:
        loss, gradient = inner_gradient(params, weight_map, lq, hq, forward)
        return {"loss": loss, "params": sgd_update(params, gradient, task_lr)}

    arguments = {
        "params": params,
        "weight_map": np.ones_like(hq[..., :1]),
        "lq": lq,
        "hq": hq,
        "task_lr": np.float32(1e-2),
    }
    exporter.write(name, inner_step, arguments, precision="float32")


def export_meta_step(
    exporter: Exporter, name: str, weights: dict, batch: dict[str, np.ndarray], **options: bool
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
    exporter.write(name, meta_step, arguments, precision="float32")


def main(_: list[str]) -> None:
    """Write all programs, and run them if there is JAX."""
    args = flags.FLAGS
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device("-1")
    from training_workload import cut_meta_batch

    sizes = PUBLISHED if args.published else SMALL
    exporter = Exporter(Path(args.output), compared=not args.published)
    patches, side = sizes.inner
    faces = cut_meta_batch(1, patches, side, side)
    batch = cut_meta_batch(*sizes.meta)
    for network in args.networks:
        weights = draw_weights(network, *sizes.networks[network])
        for precision in ("float32", "bfloat16"):
            for tiles, tile in sizes.forward:
                title = f"{network}_forward_{tiles}x{tile}_{precision}"
                export_forward(exporter, title, weights, precision, tiles, tile)
        export_inner_step(exporter, f"{network}_inner_step", weights, faces["inputa"][0], faces["labela"][0])
        for name, options in META_STEPS.items():
            export_meta_step(exporter, f"{network}_{name}", weights, batch, **options)
    run = [str(ROOT / "benchmarks" / "portable_in_jax.py"), args.output, *(() if args.published else ("--steps", "0"))]
    if args.jax_python is None:
        print(f"not run: that takes a Python with JAX, --jax_python or PYTHON {' '.join(run)}")
        return
    environment = os.environ if args.published else os.environ | {"JAX_PLATFORMS": "cpu"}
    sys.exit(subprocess.run([args.jax_python, *run], env=environment).returncode)


if __name__ == "__main__":
    app.run(main)
