"""Processes that the benchmarks start and measure.

A process starts with its parent's peak memory, so a benchmark itself stays small: what loads TensorFlow runs in a
child.
"""

import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable


def in_child(function: Callable, *arguments: object) -> None:
    """Call a function in a process of its own."""
    child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{function.__name__} failed")


def measured(command: list[str]) -> tuple[float, float, str]:
    """Run a command: seconds, peak memory in GB, and what it printed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            errors.seek(0)
            reason = errors.read().strip().splitlines()[-1:]
            raise SystemExit(f"failed: {' '.join(command)}: {''.join(reason)}")
        output.seek(0)
        return seconds, usage.ru_maxrss / 1e6, output.read()
