"""What a report shows of one photo, and its JSON file: written while the run goes on, put into the page at the end.

Numbers that JSON has no tokens for are the strings "Infinity", "-Infinity" and "NaN", as JavaScript's Number() reads
them.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metaf2n_tf.data.strict_json import NON_FINITE, plain
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
class Losses:
    """A curve: the loss before each step and after the last, which may be no finite number."""

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
    losses: list[Losses] = field(default_factory=list)
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


def encode(report: PhotoReport) -> bytes:
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
            "losses": [{"label": losses.label, "values": losses.values} for losses in report.losses],
            "settings": report.settings,
        }
    )


def _is_number(value: Any) -> bool:
    return value is None or value in NON_FINITE or (isinstance(value, int | float) and not isinstance(value, bool))


def _check(part: dict) -> None:
    """Raise one of the errors that `decode` catches unless everything the page uses is there and of its type."""

    def expect(*conditions: bool) -> None:
        if not all(conditions):
            raise ValueError("not what encode() writes")

    def is_size(size: list) -> bool:
        return len(size) == 2 and all(isinstance(length, int) for length in size)

    def is_picture(source: str) -> bool:
        return source.startswith("data:image/")

    expect(isinstance(part["photo"], str), is_size(part["size"]), isinstance(part["settings"], dict))
    expect(part["note"] is None or isinstance(part["note"], str))
    expect(part["thumbnail"] is None or is_picture(part["thumbnail"]))
    for view in part["views"]:
        expect(
            isinstance(view["label"], str),
            isinstance(view["truth"], bool),
            all(map(_is_number, view["metrics"].values())),
        )
        expect(is_size(view["size"]), is_size(view["shown"]), is_picture(view["src"]))
    for face in part["faces"]:
        expect(is_size(face["size"]), is_picture(face["lq"]), is_picture(face["hq"]))
        if (weights := face["weights"]) is not None:
            expect(_is_number(weights["mean"]), _is_number(weights["max"]), is_picture(weights["src"]))
    for losses in part["losses"]:
        expect(isinstance(losses["label"], str), all(map(_is_number, losses["values"])))


def decode(content: bytes) -> dict:
    """Read what `encode` wrote, in JSON's types.

    Raises:
      ValueError: it is damaged, or something else.
    """
    try:
        part = json.loads(content)
        _check(part)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no part of a report: {error}") from None
    return part
