"""Compares and times the programs of benchmarks/portable.py on JAX's default device.

  python benchmarks/portable_in_jax.py FOLDER

Needs JAX and NumPy, nothing of ours. Prints for each program how long it took to compile, how far its results are from
TensorFlow's where the folder has those, and milliseconds a run; of the networks forward also LQ megapixels a second,
TFLOP/s of the convolutions and their share of what the device can do at best. Programs in float32 are run with float32
products, and on GPUs also with TF32's. The exit code is 1 where results differ.
"""

import argparse
import json
import re
import statistics
import sys
import time
from pathlib import Path

import jax
import numpy as np
from jax._src import xla_bridge
from jax._src.lib import xla_client

# Of the norm of a result's difference to the norm of the result; what a weight gains in a step is small against it.
TOLERANCE = {"float32": 1e-3, "bfloat16": 3e-2}
# Dense bfloat16 TFLOP/s with float32 sums, from NVIDIA's data sheets, by a part of the device's name.
PEAKS = {
    "H100 80GB HBM3": 989,
    "H100 PCIe": 756,
    "H200": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "RTX 4090": 165,
    "RTX 5090": 210,
}


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


def peak(device_kind: str) -> float | None:
    """What a device can do at best in bfloat16, TFLOP/s; None where we do not know."""
    return next((value for part, value in PEAKS.items() if part in device_kind), None)


def measure(path: Path, device: jax.Device, steps: int) -> bool:
    """Print a program's lines; whether its results are TensorFlow's, or there are none to compare with."""
    description = json.loads(path.with_suffix(".json").read_text())

    def arrays(of: str) -> list[np.ndarray]:
        return [np.load(path.parent / "arrays" / f"{entry['array']}.npy") for entry in description.get(of, ())]

    arguments = [jax.device_put(array, device) for array in arrays("arguments")]
    expected, stated = arrays("results"), description["precision"]
    names = [entry["name"] for entry in description.get("results", ())]
    text, same = path.read_text(), True
    variants = {stated: in_float32(text)} | ({"TF32": text} if device.platform == "gpu" and stated == "float32" else {})
    for precision, variant in variants.items():
        program, seconds = compile_program(variant)
        results = run(program, arguments)
        told = [f"compiled in {seconds:.1f} s"]
        if expected:
            difference, name = largest_difference([np.asarray(result) for result in results], expected, names)
            told.append(f"largest difference {difference:.1e} ({name})")
            same &= precision == "TF32" or difference <= TOLERANCE[precision]
        milliseconds = []
        for _ in range(steps):
            began = time.monotonic()
            run(program, arguments)
            milliseconds.append(1e3 * (time.monotonic() - began))
        if milliseconds:
            taken = statistics.median(milliseconds)
            told.append(f"{taken:.1f} ms")
            if "flop" in description:
                speed = description["flop"] / taken / 1e9
                best = peak(device.device_kind)
                told.append(f"{description['lq_pixels'] / taken / 1e3:.2f} LQ MP/s, {speed:.2f} TFLOP/s")
                if best and precision == "bfloat16":
                    told.append(f"{speed / best:.0%} of the peak")
        print(f"{path.stem}, {precision}: {'; '.join(told)}", flush=True)
    return same


def main() -> int:
    """Each program in the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10, help="runs that are timed; 0: only compare")
    args = parser.parse_args()
    programs = sorted(args.folder.glob("*.mlir"))
    if not programs:
        parser.error(f"{args.folder}: no programs there. Remedy: python benchmarks/portable.py --output FOLDER")
    device = jax.devices()[0]
    print(f"device: {device.device_kind}, JAX {jax.__version__}")
    return int(not all([measure(path, device, args.steps) for path in programs]))


if __name__ == "__main__":
    sys.exit(main())
