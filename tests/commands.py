"""Runs the project's commands as a user would, cut off from the network and from the user's own weights."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def command(script, *arguments):
    return [sys.executable, str(ROOT / script), *map(str, arguments)]


def environment(home):
    return {**os.environ, **NO_NETWORK, "DEEPFACE_HOME": str(home)}


def run(home, script, *arguments, code=0):
    """Run in the folder `home`; the exit code must be `code`. Returns what was printed on stderr."""
    done = subprocess.run(
        command(script, *arguments), capture_output=True, text=True, check=False, cwd=home, env=environment(home)
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr
