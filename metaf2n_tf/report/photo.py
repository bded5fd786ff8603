"""What a report shows of one photo, and its JSON file: written while the run goes on, put into the page at the end.

Numbers that JSON has no tokens for are the strings "Infinity", "-Infinity" and "NaN", as JavaScript's Number() reads
them.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metaf2n_tf.data import strict_json
from metaf2n_tf.data.strict_json import NUMBER, plain
from metaf2n_tf.report import pictures


@dataclass(frozen=True)
class View:
    """One picture of the photo.

    label: such as "LQ, bicubic", "3 steps" or "GT"; picture: uint8 (H, W, 3) RGB; metrics: of the full picture, by
    name, such as `psnr_y`; may be infinite.
    """

    label: str
    picture: np.ndarray
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FacePair:
    """A face.

    lq: uint8 (h, w, 3) RGB; hq: restored, uint8 (4h, 4w, 3); weights: MaskNet's W, float32 (4h, 4w), or None where
    the weights have no MaskNet.
    """

    lq: np.ndarray
    hq: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class LossCurve:
    """The loss before each step and after the last, which may be no finite number."""

    label: str
    values: list[float]


@dataclass(frozen=True)
class PhotoReport:
    """All that is shown of one photo.

    photo: its relative name; size: (height, width) of the LQ photo; settings: the photo's record; note: a sentence such
    as "no face, so super-resolved unadapted".
    """

    photo: str
    size: tuple[int, int]
    views: list[View] = field(default_factory=list)
    faces: list[FacePair] = field(default_factory=list)
    losses: list[LossCurve] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    note: str | None = None


def dump(value: Any) -> bytes:
    """JSON in ASCII that can stand inside a <script> element."""
    text = json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").encode("ascii")


def _is_ground_truth(label: str) -> bool:
    return label.lower().startswith(("gt", "ground truth"))


def _view(view: View) -> dict:
    shown = pictures.reduce(view.picture, pictures.VIEW_SIDE)
    return {
        "label": view.label,
        "truth": _is_ground_truth(view.label),
        "metrics": view.metrics,
        "size": view.picture.shape[:2],
        "shown": shown.shape[:2],
        "src": pictures.webp_uri(shown),
    }


def _face(face: FacePair) -> dict:
    lq, hq = (pictures.reduce(picture, pictures.FACE_SIDE) for picture in (face.lq, face.hq))
    weights = None
    if face.weights is not None:
        weights = {
            "mean": np.mean(face.weights),
            "max": np.max(face.weights),
            "src": pictures.webp_uri(pictures.heat_map(pictures.reduce(face.weights, pictures.FACE_SIDE))),
        }
    return {
        "size": face.lq.shape[:2],
        "lq": pictures.webp_uri(lq, lossless=True),
        "hq": pictures.webp_uri(hq),
        "weights": weights,
    }


def encode_photo(report: PhotoReport) -> bytes:
    """The JSON of one photo, pictures included as data URIs."""
    thumbnail = None
    if report.views:
        views = [view for view in report.views if not _is_ground_truth(view.label)] or report.views
        thumbnail = pictures.webp_uri(pictures.reduce(views[-1].picture, pictures.THUMBNAIL_SIDE))
    return dump(
        {
            "photo": report.photo,
            "size": report.size,
            "note": report.note,
            "thumbnail": thumbnail,
            "views": [_view(view) for view in report.views],
            "faces": [_face(face) for face in report.faces],
            "losses": [{"label": curve.label, "values": curve.values} for curve in report.losses],
            "settings": report.settings,
        }
    )


def _is_size(size: object) -> bool:
    return isinstance(size, list) and len(size) == 2 and all(type(length) is int for length in size)


def _is_picture(source: object) -> bool:
    return isinstance(source, str) and source.startswith("data:image/")


_NUMBER_OR_NONE = (*NUMBER, None)
_PART = {  # everything that the page uses
    "photo": str,
    "size": _is_size,
    "note": (str, None),
    "thumbnail": (_is_picture, None),
    "views": [
        {
            "label": str,
            "truth": bool,
            "metrics": {str: _NUMBER_OR_NONE},
            "size": _is_size,
            "shown": _is_size,
            "src": _is_picture,
        }
    ],
    "faces": [
        {
            "size": _is_size,
            "lq": _is_picture,
            "hq": _is_picture,
            "weights": ({"mean": _NUMBER_OR_NONE, "max": _NUMBER_OR_NONE, "src": _is_picture}, None),
        }
    ],
    "losses": [{"label": str, "values": [_NUMBER_OR_NONE]}],
    "settings": {str: object},
}


def decode_photo(content: bytes) -> dict:
    """Read what `encode_photo` wrote, in JSON's types.

    Raises:
      ValueError: it is damaged, or something else.
    """
    try:
        return strict_json.loads(content, _PART)
    except ValueError as error:
        raise ValueError(f"no part of a report: {error}") from None
