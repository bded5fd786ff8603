"""The page as a file: whole, self-contained, streamed, whatever the names and the state of the parts."""

import json
import re
import tracemalloc

import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.report import page
from metaf2n_tf.report.page import Overview, Reading, Table
from metaf2n_tf.report.photo import PhotoReport, View, encode_photo

HOSTILE = "</script><img src=x onerror=alert(1)>{{photos}}{{script}}\\1\"'&é\udcff"


def flat(level):
    return np.full((8, 8, 3), level, np.uint8)


def write_part(path, name="x.png", **fields):
    path.write_bytes(encode_photo(PhotoReport(name, (2, 2), **fields)))
    return path


def blocks(text):
    found = re.findall(r'<script type="application/json" id="([^"]*)">(.*?)</script>', text, re.S)
    return {identity: json.loads(content) for identity, content in found}


def test_the_page_holds_everything_and_loads_nothing(tmp_path):
    views = [View("LQ, bicubic", flat(9), {"psnr_y": 20.0, "mse": 1.0}), View("GT", flat(99))]
    saved = [write_part(tmp_path / f"{name}.json", name, views=views) for name in ("b", "a")]
    table = Table("Means", ["steps", "LPIPS"], [[0, 0.5], ["all", None], [1, float("inf")]])
    overview = Overview(
        "Title",
        {"seed": 0, "weights": "w"},
        ["A line."],
        [("Plot", flat(3)), ("SVG", b"<svg/>")],
        [table],
        {"psnr_y": Reading("higher", 2)},
    )
    page.write_page(tmp_path / "report.html", overview, saved)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", text)
    links = re.findall(
        r"""(?:src|href|action)=["']?([^"'\s>]+)""", re.sub(r"<script.*?</script>", "", text, flags=re.S)
    )
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    found = blocks(text)
    assert [found[f"photo-{i}"]["photo"] for i in range(2)] == ["b", "a"]
    index = found["index"]
    assert [photo["views"][0]["metrics"] for photo in index["photos"]] == [{"psnr_y": 20.0, "mse": 1.0}] * 2
    assert index["metrics"] == {"psnr_y": {"better": "higher", "digits": 2}}
    assert index["tables"][0]["rows"] == [[0, 0.5], ["all", None], [1, "Infinity"]]
    assert "<dt>weights</dt><dd>w</dd>" in text
    assert "<li>A line.</li>" in text
    assert not list(tmp_path.glob(".*")), "nothing is left beside the page"


def test_hostile_texts_stay_texts(tmp_path):
    saved = [write_part(tmp_path / "0.json", HOSTILE, views=[View(HOSTILE, flat(0), {HOSTILE: 1.0})], note=HOSTILE)]
    table = Table(HOSTILE, [HOSTILE], [[HOSTILE]])
    overview = Overview(
        HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE], [(HOSTILE, flat(1))], [table], {HOSTILE: Reading("lower", 1)}
    )
    page.write_page(tmp_path / "report.html", overview, saved)
    text = (tmp_path / "report.html").read_bytes().decode()
    assert "<img src=x" not in text
    assert text.count("<script") == text.count("</script>") == 3
    found = blocks(text)
    assert found["photo-0"]["photo"] == HOSTILE
    assert found["index"]["tables"][0]["title"] == HOSTILE


def test_damaged_parts_are_named_and_left_out(tmp_path):
    good = write_part(tmp_path / "good.json")
    cut = tmp_path / "cut.json"
    cut.write_bytes(good.read_bytes()[:-5])
    page.write_page(tmp_path / "report.html", Overview("T"), [cut, good, tmp_path / "absent.json"])
    index = blocks((tmp_path / "report.html").read_text())["index"]
    assert index["damaged"] == ["cut.json", "absent.json"]
    assert [photo["photo"] for photo in index["photos"]] == ["x.png"]


def test_memory_does_not_grow_with_the_photos(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (700, 700, 3), np.uint8)
    part = write_part(tmp_path / "0.json", views=[View("1 step", noise), View("GT", noise)])
    size = part.stat().st_size

    def peak(count):
        tracemalloc.start()
        page.write_page(tmp_path / "report.html", Overview("T"), (part for _ in range(count)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # imports, caches
    assert peak(12) - peak(3) < size
    assert (tmp_path / "report.html").stat().st_size > 3 * size


def test_a_page_that_cannot_be_written_is_one_error(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        page.write_page(tmp_path / "nowhere" / "report.html", Overview("T"), [])


def test_an_error_leaves_the_old_page(tmp_path):
    path = tmp_path / "report.html"
    page.write_page(path, Overview("old"), [])
    before = path.read_bytes()

    def interrupted():
        yield write_part(tmp_path / "0.json")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        page.write_page(path, Overview("new"), interrupted())
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
