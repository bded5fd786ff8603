"""Pictures as data URIs of a size that a page can hold, and MaskNet's weights W as colours."""

import base64
import io

import cv2
import numpy as np
from PIL import Image

QUALITY = 92  # of WebP
VIEW_SIDE, FACE_SIDE, THUMBNAIL_SIDE = 2048, 384, 112  # pixels of the longer side, at most
_COLOURS = cv2.COLORMAP_VIRIDIS  # perceptually uniform, and neither end is black or white
_STOPS = 9


def reduce(picture: np.ndarray, side: int) -> np.ndarray:
    """Reduce (H, W) or (H, W, C) by areas until the longer side is at most `side`; smaller ones stay as they are."""
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def webp_uri(rgb: np.ndarray, lossless: bool = False) -> str:
    """A data URI of uint8 (H, W, 3) RGB."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "WEBP", quality=QUALITY, lossless=lossless)
    return _data_uri("webp", stream.getvalue())


def plot_uri(picture: np.ndarray | bytes) -> str:
    """A data URI, without loss, of uint8 (H, W, 3) RGB or of a PNG's or SVG's bytes."""
    if isinstance(picture, np.ndarray):
        return webp_uri(picture, lossless=True)
    return _data_uri("png" if picture.startswith(b"\x89PNG") else "svg+xml", picture)


def heat_map(weights: np.ndarray) -> np.ndarray:
    """Colour (H, W) from 0 to its maximum, as uint8 (H, W, 3) RGB; what is negative or no number counts as 0."""
    weights = np.maximum(np.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0), 0)
    levels = np.round(weights * (255 / max(float(weights.max(initial=0)), 1e-12)))
    return cv2.cvtColor(cv2.applyColorMap(levels.astype(np.uint8), _COLOURS), cv2.COLOR_BGR2RGB)


def heat_colours() -> list[str]:
    """The colours of `heat_map` from 0 to the maximum, like `#440154`, at equal distances."""
    scale = heat_map(np.linspace(0, 1, _STOPS, dtype=np.float32)[None])[0]
    return ["#" + colour.tobytes().hex() for colour in scale]
