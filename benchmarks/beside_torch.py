"""A table of ours beside PyTorch, each in a process of its own: seconds, memory, and how far the outputs differ."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from children import in_child, measured

_HEADINGS = ("seconds", "PyTorch", "ratio", "first run", "GB", "PyTorch GB", "difference")


def _run(command: list[str]) -> tuple[float, float, float]:
    """(seconds of the first run, least seconds of the others, peak memory in GB) of a process that prints seconds."""
    _, memory, printed = measured(command)
    first, *others = map(float, printed.split())
    return first, min(others), memory


def compare(cases: Mapping[str, tuple], prepare: Callable, ours: str, baseline: str, torch_python: str) -> None:
    """Print a row a case.

    Args:
      cases: `{title: arguments}`; the first argument is also what both processes are told to run.
      prepare: (*arguments, folder), writes the weights and the input there.
      ours: the script that is called with `--ours FIRST --ours FOLDER`, prints seconds and writes output.npy.
      baseline: the script that PyTorch's Python calls with FIRST and FOLDER, and that does the same.
      torch_python: that Python.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"{'':36}" + "".join(f"{heading:>12}" for heading in _HEADINGS))
    for title, arguments in cases.items():
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch, "output.npy")
            in_child(prepare, *arguments, Path(scratch))
            script = str(Path(__file__).with_name(baseline))
            _, theirs, their_memory = _run([torch_python, script, arguments[0], scratch])
            expected = np.load(output)
            first, mine, memory = _run([sys.executable, ours, "--ours", arguments[0], "--ours", scratch])
            difference = np.abs(np.load(output) - expected).max()
        figures = f"{mine:12.3f}{theirs:12.3f}{mine / theirs:12.2f}{first:12.2f}{memory:12.2f}{their_memory:12.2f}"
        print(f"{title:36}{figures}{difference:12.1e}", flush=True)
