"""Compares and times the programs of benchmarks/portable_step.py on JAX's default device.

  python benchmarks/jax_step.py FOLDER

Needs JAX and NumPy, nothing of ours. Prints how far the results are from TensorFlow's, and milliseconds a step: with
float32 products, and on GPUs also with TF32's. The exit code is 1 where results differ.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import jax
import numpy as np
from jax._src import xla_bridge
from jax._src.lib import xla_client

# Of the norm of a result's difference to the norm of the result; what a weight gains in a step is small against it.
TOLERANCE = 1e-3


def compile_program(text: str) -> tuple[object, float]:
    """The loaded program, and the seconds it took."""
    began = time.monotonic()
    devices = xla_client.DeviceList((jax.devices()[0],))
    program = xla_bridge.get_backend().compile_and_load(text, devices, xla_client.CompileOptions())
    return program, time.monotonic() - began


def in_float32(text: str) -> str:
    """The same program with all products in float32; unmarked ones may be computed in TF32."""
    text = re.sub(r"#stablehlo<precision DEFAULT>", "#stablehlo<precision HIGHEST>", text)
    return text.replace("precision = [DEFAULT, DEFAULT]", "precision = [HIGHEST, HIGHEST]")


def run(program: object, arguments: list[jax.Array]) -> list[jax.Array]:
    """Results, once they are there."""
    return jax.block_until_ready(program.execute(arguments))


def largest_difference(results: list[np.ndarray], expected: list[np.ndarray], names: list[str]) -> tuple[float, str]:
    """The largest of the results' relative differences, and whose it is."""
    worst = (0.0, "")
    for name, result, other in zip(names, results, expected, strict=True):
        result, other = np.float64(result), np.float64(other)
        if result.shape != other.shape:
            return float("inf"), name
        difference = np.linalg.norm(result - other) / max(np.linalg.norm(other), np.finfo(np.float32).tiny)
        worst = max(worst, (float(difference) if np.isfinite(difference) else float("inf"), name))
    return worst


def main() -> int:
    """Each program in the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10, help="steps that are timed; 0: only compare")
    args = parser.parse_args()
    programs = sorted(args.folder.glob("*.mlir"))
    if not programs:
        parser.error(f"{args.folder}: no programs there. Remedy: python benchmarks/portable_step.py --output FOLDER")
    device = jax.devices()[0]
    print(f"device: {device.device_kind}")
    failed = False
    for path in programs:
        description = json.loads(path.with_suffix(".json").read_text())
        names = [result["name"] for result in description["results"]]
        with np.load(path.with_suffix(".npz")) as arrays:
            arguments = [jax.device_put(arrays[f"arg_{i}"], device) for i in range(len(description["arguments"]))]
            expected = [arrays[f"result_{i}"] for i in range(len(names))]
        text = path.read_text()
        texts = {"float32": in_float32(text)} | ({"TF32": text} if device.platform == "gpu" else {})
        for precision, variant in texts.items():
            program, seconds = compile_program(variant)
            results = [np.asarray(result) for result in run(program, arguments)]
            difference, name = largest_difference(results, expected, names)
            print(
                f"{path.stem}, {precision}: compiled in {seconds:.1f} s, largest difference {difference:.1e} ({name})"
            )
            failed |= precision == "float32" and difference > TOLERANCE
            milliseconds = []
            for _ in range(args.steps):
                began = time.monotonic()
                run(program, arguments)
                milliseconds.append(1e3 * (time.monotonic() - began))
            if milliseconds:
                print(f"{path.stem}, {precision}: {np.median(milliseconds):.1f} ms a step", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
