"""A photo's part of the report: valid JSON whatever the numbers and names, pictures of bounded size."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaf2n_tf.report import pictures
from metaf2n_tf.report.photo import FacePair, LossCurve, PhotoReport, View, decode_photo, encode_photo

HOSTILE = "a\"b'</script><script>alert(1)</script>&lt;\u2028é\udcff.png"


def decode_uri(uri):
    head, content = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def strict(content):
    def refuse(token):
        raise AssertionError(token)

    return json.loads(content, parse_constant=refuse)


def gradient(height, width):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([255 * rows / height, 255 * columns / width, 0 * rows + 128], -1).astype(np.uint8)


def test_everything_arrives():
    lq, hq = gradient(8, 10), gradient(32, 40)
    weights = np.linspace(0, 1.5, 32 * 40, dtype=np.float32).reshape(32, 40)
    report = PhotoReport(
        HOSTILE,
        (8, 10),
        [View("LQ, bicubic", hq, {"psnr_y": 20.5}), View("GT", hq)],
        [FacePair(lq, hq, weights), FacePair(lq, hq, None)],
        [LossCurve("loss", [0.5, 0.25])],
        {"seed": 0, "path": Path("weights/x.npz"), "count": np.int64(3)},
        "a note",
    )
    part = decode_photo(encode_photo(report))
    assert (part["photo"], part["size"], part["note"]) == (HOSTILE, [8, 10], "a note")
    assert [(view["label"], view["truth"], view["metrics"]) for view in part["views"]] == [
        ("LQ, bicubic", False, {"psnr_y": 20.5}),
        ("GT", True, {}),
    ]
    assert np.abs(decode_uri(part["views"][0]["src"]).astype(int) - hq).mean() < 3
    assert (decode_uri(part["faces"][0]["lq"]) == lq).all(), "LQ pixels are to be seen one by one"
    assert part["faces"][0]["weights"]["max"] == pytest.approx(1.5)
    assert part["faces"][0]["weights"]["mean"] == pytest.approx(0.75)
    assert part["faces"][1]["weights"] is None
    assert part["losses"] == [{"label": "loss", "values": [0.5, 0.25]}]
    assert part["settings"] == {"seed": 0, "path": "weights/x.npz", "count": 3}


def test_json_is_strict_ascii_and_closes_no_element():
    values = [1.0, float("nan"), float("inf"), -float("inf"), np.float32("nan"), None]
    report = PhotoReport(
        HOSTILE,
        (1, 1),
        [View(HOSTILE, gradient(4, 4), {"psnr_y": float("inf"), HOSTILE: np.float64("nan")})],
        losses=[LossCurve(HOSTILE, values)],
        settings={HOSTILE: [float("nan"), {"deep": (float("inf"),)}]},
    )
    content = encode_photo(report)
    assert content.isascii()
    assert b"<" not in content
    part = strict(content)
    assert part["losses"][0]["values"] == [1.0, "NaN", "Infinity", "-Infinity", "NaN", None]
    assert part["views"][0]["metrics"] == {"psnr_y": "Infinity", HOSTILE: "NaN"}
    assert part["settings"][HOSTILE] == ["NaN", {"deep": ["Infinity"]}]
    assert decode_photo(content) == part


def test_a_photo_without_anything():
    part = strict(encode_photo(PhotoReport("x.png", (3, 2))))
    assert part["views"] == part["faces"] == part["losses"] == []
    assert part["thumbnail"] is part["note"] is None


def test_large_pictures_are_reduced():
    face = FacePair(gradient(400, 300), gradient(1600, 1200), np.ones((1600, 1200), np.float32))
    report = PhotoReport(
        "x.png", (750, 1025), [View("GT", gradient(3000, 4100)), View("1 step", gradient(2048, 9))], [face]
    )
    part = decode_photo(encode_photo(report))
    assert (part["views"][0]["size"], part["views"][0]["shown"]) == ([3000, 4100], [1499, 2048])
    assert decode_uri(part["views"][0]["src"]).shape == (1499, 2048, 3)
    assert part["views"][1]["size"] == part["views"][1]["shown"] == [2048, 9]
    shown = [part["faces"][0]["lq"], part["faces"][0]["hq"], part["faces"][0]["weights"]["src"]]
    assert {decode_uri(uri).shape for uri in shown} == {(384, 288, 3)}
    assert max(decode_uri(part["thumbnail"]).shape) == pictures.THUMBNAIL_SIDE


def test_reducing_takes_means():
    checks = np.indices((1000, 4096)).sum(0) % 2 * np.uint8(200)
    reduced = pictures.reduce(np.repeat(checks[..., None], 3, 2).astype(np.uint8), 2048)
    assert reduced.shape == (500, 2048, 3)
    assert (reduced == 100).all()
    assert pictures.reduce(np.zeros((1, 9000), np.float32), 100).shape == (1, 100)


def test_heat_map_runs_from_zero_to_the_maximum():
    colours = pictures.heat_colours()
    assert (colours[0], colours[-1]) == ("#440154", "#fde725"), "viridis"
    weights = np.float32([[0, 0.5, 2], [-1, np.nan, np.inf]])
    heat = ["#" + pixel.tobytes().hex() for row in pictures.heat_map(weights) for pixel in row]
    assert heat[0] == heat[3] == heat[4] == heat[5] == colours[0]
    assert heat[2] == colours[-1]
    assert (pictures.heat_map(np.zeros((2, 2), np.float32)) == pictures.heat_map(weights)[0, 0]).all()


def test_plots_keep_their_bytes():
    assert base64.b64decode(pictures.plot_uri(b"<svg/>").removeprefix("data:image/svg+xml;base64,")) == b"<svg/>"
    assert pictures.plot_uri(b"\x89PNG...").startswith("data:image/png;base64,")
    assert (decode_uri(pictures.plot_uri(gradient(20, 30))) == gradient(20, 30)).all()


def broken():
    part = json.loads(encode_photo(PhotoReport("x.png", (3, 2), [View("1 step", gradient(4, 4), {"a": 1.0})])))
    yield b""
    yield json.dumps(part).encode()[:-9]
    yield b"\xff\xfe"
    yield b"[]"
    yield b"[" * 100_000
    for name in part:
        yield json.dumps({key: value for key, value in part.items() if key != name}).encode()
    view = part["views"][0]
    for change in (
        {"src": "//elsewhere/x.png"},
        {"src": 5},
        {"metrics": {"a": "<b>"}},
        {"shown": [1]},
        {"label": None},
    ):
        yield json.dumps(part | {"views": [view | change]}).encode()


@pytest.mark.parametrize("content", broken())
def test_what_encode_did_not_write_is_refused(content):
    with pytest.raises(ValueError, match="no part of a report"):
        decode_photo(content)
