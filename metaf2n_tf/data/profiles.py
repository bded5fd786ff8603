"""ICC colour profiles: a result keeps one of its own kind of colours; pictures in inks are converted with theirs."""

import io

from PIL import Image, ImageCms

_SPACE, _SIGNATURE = slice(16, 20), slice(36, 40)  # in the header of a profile


def space(icc: bytes) -> str:
    """The colours that a profile is of, like "RGB", "GRAY", "CMYK" or "Lab"; "" of what is no profile."""
    return icc[_SPACE].decode("latin-1").strip() if icc[_SIGNATURE] == b"acsp" else ""


def from_inks(image: Image.Image, icc: bytes) -> Image.Image | None:
    """A CMYK picture in sRGB by its own profile; None where that is damaged."""
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        return ImageCms.profileToProfile(image, inks, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
