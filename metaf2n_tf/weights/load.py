"""From any weight file to the SR network's and MaskNet's params, checked variable by variable."""

import dataclasses
import glob
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf import places
from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks import masknet, sr
from metaf2n_tf.weights import catalogue, ncnn, npz, pth, safetensors, tf1_checkpoint
from metaf2n_tf.weights.check import check_variables

META_TRAINED = "meta-trained"
PLAIN = "plain Real-ESRGAN"
LEARNED = "learned"  # the rate on record of weights that have one for each variable
RATE_SCOPE = "TaskLR"  # TaskLR/<variable>: the natural logarithm of the variable's learned rate

_LARGEST_RATE = np.log(np.finfo(np.float32).max)
META_TRAINED_TASK_LR = 1e-2  # TASK_LR of the published code


@dataclass(frozen=True)
class Weights:
    """SR and MaskNet weights, and learned rates of the inner loop, as logarithms.

    `mask` is None for plain weights, which means W = 1; `log_rates` is empty where no rates were learned.
    """

    source: str
    sr: dict[str, np.ndarray]
    mask: dict[str, np.ndarray] | None
    log_rates: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def variables(self) -> dict[str, np.ndarray]:
        """All of them by name."""
        return self.sr | (self.mask or {}) | self.log_rates

    @property
    def kind(self) -> str:
        """`META_TRAINED` or `PLAIN`."""
        return PLAIN if self.mask is None else META_TRAINED

    @property
    def task_lr(self) -> float | dict[str, np.ndarray]:
        """The inner loop's rate that suits these weights: learned for each variable, the published one, or plain."""
        if self.log_rates:
            return {name.removeprefix(f"{RATE_SCOPE}/"): np.exp(value) for name, value in self.log_rates.items()}
        return sr.network_of(self.sr).plain_task_lr if self.mask is None else META_TRAINED_TASK_LR

    @property
    def task_lr_on_record(self) -> float | str:
        """The rate that suits these weights, as records name it: a number, or "learned"."""
        rate = self.task_lr
        return LEARNED if isinstance(rate, dict) else rate

    @property
    def task_lr_in_words(self) -> str:
        """The rate that suits these weights, and why."""
        if self.log_rates:
            least, largest = (np.exp(pick(list(self.log_rates.values()))) for pick in (np.min, np.max))
            return f"one for each variable, from {least:.2g} to {largest:.2g}, as these weights have learned them"
        return f"{self.task_lr:g}, the default for {self.kind} weights"

    @property
    def identity(self) -> str:
        """The first 16 hex digits of the sha256 over names and float32 values: the same in every file format."""
        digest = hashlib.sha256()
        for name, value in sorted(self.variables.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value, "<f4").data)
        return digest.hexdigest()[:16]

    def __str__(self) -> str:
        shapes = {name: value.shape for name, value in self.sr.items()}
        network = sr.network_of(self.sr).title(shapes)
        return f"{self.source} ({self.kind}, {network}, identity {self.identity})"


def sr_shapes(source: str, found: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes that the SR network of this file, of its width and depth, must have.

    Raises:
      UserError: no SR network that is known, or not one of scale 4.
    """
    try:
        return sr.network_of(found).shapes_like({name: value.shape for name, value in found.items()})
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def mask_shapes(found: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes that the MaskNet of this file, of its width, must have."""
    first = found.get(f"{masknet.SCOPE}/conv1/bias", np.zeros(masknet.WIDTH))
    return masknet.variable_shapes(first.size)


def has_scope(found: Mapping[str, np.ndarray], scope: str) -> bool:
    """Whether any variable's name starts with `scope/`."""
    return any(name.startswith(f"{scope}/") for name in found)


def rate_shapes(found: Mapping[str, np.ndarray], sr_names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of the logarithms of learned rates: none where the file has none of them."""
    return {f"{RATE_SCOPE}/{name}": () for name in sr_names} if has_scope(found, RATE_SCOPE) else {}


def _from_variables(source: str, found: Mapping[str, np.ndarray]) -> Weights:
    weights = check_variables(source, found, sr_shapes(source, found))
    mask = check_variables(source, found, mask_shapes(found)) if has_scope(found, masknet.SCOPE) else None
    rates = check_variables(source, found, rate_shapes(found, weights))
    if too_large := [name for name, value in rates.items() if value > _LARGEST_RATE]:
        raise UserError(
            f"{source}: variable {too_large[0]} is {rates[too_large[0]]:g}, too large for a rate's logarithm"
        )
    return Weights(source, weights, mask, rates)


def _from_state_dict(path: Path, state: Mapping[str, np.ndarray]) -> Weights:
    found = {f"{sr.SCOPE}/{name.replace('.', '/')}": value for name, value in state.items()}
    return _from_variables(str(path), found)


def _load_pth(path: Path) -> Weights:
    return _from_state_dict(path, pth.read_state_dict(path))


def _load_safetensors(path: Path) -> Weights:
    arrays = safetensors.read_safetensors(path)
    return _from_state_dict(path, {name: pth.to_tf_layout(value) for name, value in arrays.items()})


def _load_npz(path: Path) -> Weights:
    return _from_variables(str(path), npz.read_npz(path))


def _load_ncnn(path: Path) -> Weights:
    return _from_variables(str(path), ncnn.read_ncnn(path))


_READERS = {
    ".pth": _load_pth,
    ".safetensors": _load_safetensors,
    ".npz": _load_npz,
    ".param": _load_ncnn,
    ".bin": _load_ncnn,
}


def file_identity(path: Path) -> str:
    """The first 16 hex digits of the sha256 over the content of a weight file, or of all files of a checkpoint.

    Raises:
      UserError: it cannot be read.
    """
    prefix = tf1_checkpoint.resolve_prefix(path)
    parts = [path] if prefix is None else sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.*"))
    if path.suffix.lower() in (".param", ".bin"):
        parts = [path.with_suffix(suffix) for suffix in (".param", ".bin")]
    try:
        digests = [files.sha256_of(part) for part in parts]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def choose_weights(named: str | Path | None) -> tuple[Path, str]:
    """The weights that are asked for, see `load_weights`, and nothing; of those who name none, the published checkpoint
    where it is, else our own, and in words why.

    Raises:
      UserError: a name of the catalogue whose file is not there.
    """
    if named is not None:
        return catalogue.find(named), ""
    published, own = (catalogue.CATALOGUE[name].path for name in ("metaf2n", "metaf2n-lite"))
    if tf1_checkpoint.resolve_prefix(published) is not None:
        return published, ", the published ones, which are there"
    return own, f", the shipped ones, as there are no published ones at {published}"


def load_weights(path: str | Path, blend: str | None = None) -> Weights:
    """Load SR weights, and MaskNet's and the learned rates where the file has them.

    Args:
      path: a published TF1 checkpoint (prefix, one of its files, or folder); `RealESRGAN_x4plus.pth` or another `.pth`
        of Real-ESRGAN, or the same as `.safetensors`; ncnn's `.param`/`.bin`; our own `.npz`; or, where no such path is
        there, a name of the catalogue (`scripts/download_weights.py`) whose file is, or `weights/NAME` for a file of
        the folder of weights.
      blend: other weights of the same network and their share, like `realesr-general-wdn-x4v3.pth:0.5`; see `blended`.

    Raises:
      UserError: nothing there, an unknown or damaged file, a variable missing or of another shape; weights of two
        networks; a share outside [0, 1].
    """
    path = catalogue.find(path)
    try:
        weights = _load(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not blend:
        return weights
    other, colon, share = blend.rpartition(":")
    try:
        number = float(share)
    except ValueError:
        number = math.nan
    if not (other and colon and 0 <= number <= 1):
        raise UserError(Argument("blend", blend), ": expected FILE:SHARE, the share from 0 to 1")
    return blended(weights, load_weights(other), number)


def blended(weights: Weights, other: Weights, share: float) -> Weights:
    """(1 - share) * weights + share * other, variable by variable, as Real-ESRGAN's `--denoise_strength` does it.

    MaskNet and learned rates, which belong to the weights that they were trained with, stay those of `weights`.

    Raises:
      UserError: the two are not of one network.
    """
    for name in weights.sr | other.sr:
        if name not in other.sr or name not in weights.sr or weights.sr[name].shape != other.sr[name].shape:
            raise UserError(f"{weights.source} and {other.source}: not of one network, as {name} shows")
    first, second = np.float32(1 - share), np.float32(share)
    mixed = {name: first * value + second * other.sr[name] for name, value in weights.sr.items()}
    return dataclasses.replace(weights, source=f"{weights.source} with {share:g} of {other.source}", sr=mixed)


def _load(path: Path) -> Weights:
    prefix = tf1_checkpoint.resolve_prefix(path)
    if prefix is not None:
        return _from_variables(str(prefix), tf1_checkpoint.read_checkpoint(prefix))
    reader = _READERS.get(path.suffix.lower())
    if path.is_file() and reader is None:
        raise UserError(f"{path}: not a known weight file (a TF1 checkpoint, {', '.join(_READERS)})")
    if reader is None or not path.exists():
        raise UserError(
            f"{path}: no weights there. Remedy: put the published checkpoint there (README, Weights), or run "
            f"'{places.command('weights')} realesrgan-x4plus' and pass ",
            Argument("model_dir", "weights/realesrgan-x4plus.npz"),
        )
    return reader(path)
