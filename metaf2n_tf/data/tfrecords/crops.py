"""Pictures in, training crops out (MetaF2N's `scripts/generate_tfrecord.py`): background crops and whole faces."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from metaf2n_tf.data.images import read_rgb8
from metaf2n_tf.errors import UserError

MULTISCALE = (0.75, 0.5, 1 / 3)  # of Real-ESRGAN's generate_multiscale_DF2K.py, which adds one of SHORTEST_SIDE
SHORTEST_SIDE = 400


@dataclass(frozen=True)
class Cropping:
    """How crops are cut.

    size: their side in pixels; stride: pixels from one crop to the next, 0 for whole pictures; min_gradient: least
    `log_gradient` of a crop, None for all of them; multiscale: also crops of smaller copies; parsing_dir: of whole
    pictures, where the parsing map of each lies.
    """

    size: int
    stride: int = 0
    min_gradient: float | None = None
    multiscale: bool = False
    parsing_dir: str | None = None

    @property
    def channels(self) -> int:
        """Of a crop: a parsing map lies behind its face."""
        return 6 if self.parsing_dir else 3


class TooSmall(UserError):
    """A picture with a side shorter than the crops."""


class _Sliceable(Protocol):
    def __getitem__(self, place: Any, /) -> Any: ...


_Picture = TypeVar("_Picture", bound=_Sliceable)  # an array or a tensor


def gradient_energy(picture: _Picture) -> _Picture:
    """Squared differences to the pixel below and the one to the right; (..., H, W, C) to (..., H - 1, W - 1, C)."""
    here = picture[..., :-1, :-1, :]
    return (here - picture[..., 1:, :-1, :]) ** 2 + (here - picture[..., :-1, 1:, :]) ** 2


def log_gradient(crop: np.ndarray) -> float:
    """ln(mean squared gradient) of a uint8 (H, W, C) picture taken as [0, 1]; the method calls -6 and more texture."""
    return float(np.log(gradient_energy(crop.astype(np.float64) / 255).mean() + 1e-10))


def crop_positions(height: int, width: int, size: int, stride: int) -> list[tuple[int, int]]:
    """(row, column) of every crop, row by row; what remains at the right and bottom is left out."""
    return [(y, x) for y in range(0, height - size + 1, stride) for x in range(0, width - size + 1, stride)]


def scaled_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """(height, width) of the smaller copies of a picture, each once, largest first."""
    sizes = [(int(height * scale), int(width * scale)) for scale in MULTISCALE]
    if width < height:
        sizes.append((int(SHORTEST_SIDE * (height / width)), SHORTEST_SIDE))
    else:
        sizes.append((SHORTEST_SIDE, int(SHORTEST_SIDE * (width / height))))
    return sorted({size for size in sizes if min(size) < min(height, width)}, reverse=True)


def _resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))


def parsing_map(picture: str | Path, parsing_dir: str) -> Path:
    """Where the parsing map of a face lies, if there is one: of its name, as `.png` or with the face's own ending."""
    name = Path(picture).name
    place = Path(parsing_dir, name).with_suffix(".png")
    return place if place.is_file() else place.with_name(name)


def _read_parsing_map(picture: Path, parsing_dir: str, size: int) -> np.ndarray:
    path = parsing_map(picture, parsing_dir)
    if not path.is_file():
        raise UserError(f"{picture}: no parsing map {path.with_suffix('.png')}")
    rgb = read_rgb8(path)
    if rgb.shape[0] != rgb.shape[1]:
        raise UserError(f"{path}: {rgb.shape[1]}x{rgb.shape[0]} pixels, where a parsing map is to be square")
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.NEAREST))  # its colours are labels


def _cut_grid(rgb: np.ndarray, cropping: Cropping) -> Iterator[np.ndarray]:
    height, width = rgb.shape[:2]
    for y, x in crop_positions(height, width, cropping.size, cropping.stride):
        crop = rgb[y : y + cropping.size, x : x + cropping.size]
        if cropping.min_gradient is None or log_gradient(crop) >= cropping.min_gradient:
            yield crop


def cut_crops(path: Path, cropping: Cropping) -> Iterator[np.ndarray]:
    """The crops of one picture, uint8 (size, size, 3) RGB: of the picture, then of its smaller copies.

    A whole picture that is larger than the crops is resized (Lanczos). With a parsing map, resized to them by nearest
    neighbour, they are (size, size, 6).

    Raises:
      TooSmall: a side of it is shorter than the crops.
      UserError: it cannot be read, is to be taken whole and is not square, or has no usable parsing map.
    """
    rgb = read_rgb8(path)
    height, width = rgb.shape[:2]
    if min(height, width) < cropping.size:
        raise TooSmall(f"{path}: {width}x{height} pixels, smaller than {cropping.size}x{cropping.size}")
    if not cropping.stride:
        if height != width:
            raise UserError(f"{path}: {width}x{height} pixels, where a face is to be square")
        crop = rgb if height == cropping.size else _resize(rgb, cropping.size, cropping.size)
        folder, size = cropping.parsing_dir, cropping.size
        yield np.dstack([crop, _read_parsing_map(path, folder, size)]) if folder else crop
        return
    yield from _cut_grid(rgb, cropping)
    for size in scaled_sizes(height, width) if cropping.multiscale else ():
        yield from _cut_grid(_resize(rgb, *size), cropping)
