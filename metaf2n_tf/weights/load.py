"""From any weight file to the SR network's and MaskNet's params, checked variable by variable."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import masknet, rrdbnet
from metaf2n_tf.weights import ncnn, npz, pth, tf1_checkpoint
from metaf2n_tf.weights.check import check_variables

META_TRAINED = "meta-trained"
PLAIN = "plain Real-ESRGAN"

# MetaF2N's rate is right for meta-trained weights only; on plain ones it costs decibels, and a tenth of it gains some.
DEFAULT_TASK_LR = {META_TRAINED: 1e-2, PLAIN: 1e-3}


@dataclass(frozen=True)
class Weights:
    """SR and MaskNet weights; `mask` is None for plain Real-ESRGAN weights, which means W = 1."""

    source: str
    sr: dict[str, np.ndarray]
    mask: dict[str, np.ndarray] | None

    @property
    def kind(self) -> str:
        """`META_TRAINED` or `PLAIN`."""
        return PLAIN if self.mask is None else META_TRAINED

    @property
    def identity(self) -> str:
        """The first 16 hex digits of the sha256 over names and float32 values: the same in every file format."""
        digest = hashlib.sha256()
        for name, value in sorted((self.sr | (self.mask or {})).items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value, "<f4"))
        return digest.hexdigest()[:16]

    def __str__(self) -> str:
        blocks = rrdbnet.count_blocks(self.sr)
        width = self.sr[f"{rrdbnet.SCOPE}/conv_first/bias"].size
        return f"{self.source} ({self.kind}, RRDBNet of {blocks} blocks, {width} wide, identity {self.identity})"


def sr_shapes(source: str, found: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes an RRDBNet of this file's width and depth must have."""
    blocks = {name.split("/")[2] for name in found if name.startswith(f"{rrdbnet.SCOPE}/body/")}
    first, grown = f"{rrdbnet.SCOPE}/conv_first/bias", f"{rrdbnet.SCOPE}/body/0/rdb1/conv1/bias"
    for name in (first, grown):
        if name not in found:
            raise UserError(f"{source}: variable {name} is missing, so this is not an RRDBNet of MetaF2N")
    return rrdbnet.variable_shapes(len(blocks), found[first].size, found[grown].size)


def _from_variables(source: str, found: Mapping[str, np.ndarray], need_mask: bool) -> Weights:
    sr = check_variables(source, found, sr_shapes(source, found))
    has_mask = need_mask or any(name.startswith(f"{masknet.SCOPE}/") for name in found)
    return Weights(source, sr, check_variables(source, found, masknet.variable_shapes()) if has_mask else None)


def _load_pth(path: Path) -> Weights:
    state = pth.read_state_dict(path)
    found = {f"{rrdbnet.SCOPE}/{name.replace('.', '/')}": value for name, value in state.items()}
    return _from_variables(str(path), found, need_mask=False)


def _load_npz(path: Path) -> Weights:
    return _from_variables(str(path), npz.read_npz(path), need_mask=False)


def _load_ncnn(path: Path) -> Weights:
    return _from_variables(str(path), ncnn.read_ncnn(path), need_mask=False)


_READERS = {".pth": _load_pth, ".npz": _load_npz, ".param": _load_ncnn, ".bin": _load_ncnn}


def load_weights(path: str | Path) -> Weights:
    """Load SR weights, and MaskNet's where the file has them.

    Args:
      path: a published TF1 checkpoint (prefix, one of its files, or folder), which must hold MaskNet too;
        `RealESRGAN_x4plus.pth`; ncnn's `.param`/`.bin`; or our own `.npz`.

    Raises:
      UserError: nothing there, an unknown or damaged file, a variable missing or of another shape.
    """
    path = Path(path)
    try:
        return _load(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _load(path: Path) -> Weights:
    prefix = tf1_checkpoint.resolve_prefix(path)
    if prefix is not None:
        return _from_variables(str(prefix), tf1_checkpoint.read_checkpoint(prefix), need_mask=True)
    reader = _READERS.get(path.suffix.lower())
    if path.is_file() and reader is None:
        raise UserError(f"{path}: not a known weight file (a TF1 checkpoint, {', '.join(_READERS)})")
    if reader is None or not path.exists():
        raise UserError(
            f"{path}: no weights there. Remedy: put the published checkpoint there (README, Weights), or run "
            "'python scripts/download_weights.py realesrgan-x4plus' and pass --model_dir weights/realesrgan-x4plus.npz"
        )
    return reader(path)
