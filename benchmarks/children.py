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


class Kept:
    """A process that is kept: it prints a line when it is ready, then one for each line that it is given.

    said: "ready", or why it cannot be, from a process that ends with `unable`.
    """

    def __init__(self, command: list[str], unable: int):
        self._command = command
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self._process.stdout.readline().strip()
        if self.said != "ready" and self._process.wait() != unable:
            raise SystemExit(f"failed: {' '.join(command)}")

    def ask(self) -> list[float]:
        """One more line, and the numbers that come back."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        numbers = self._process.stdout.readline().split()
        if not numbers:
            raise SystemExit(f"failed: {' '.join(self._command)}")
        return list(map(float, numbers))

    def end(self) -> float:
        """No more lines: its peak memory in GB, when it has ended."""
        self._process.stdin.close()
        _, status, usage = os.wait4(self._process.pid, 0)
        if status:
            raise SystemExit(f"failed: {' '.join(self._command)}")
        return usage.ru_maxrss / 1e6
