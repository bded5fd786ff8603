"""`metaf2n report` as a user runs it."""

import os
import subprocess
import sys

import pytest
from commands import ROOT

from metaf2n_tf.report import page
from metaf2n_tf.report.photo import PhotoReport, encode_photo
from metaf2n_tf.upscale.photo_views import READING


def report(place, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "metaf2n_tf.commands.main", "report", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: expected one folder of results, that upscale --report has written (--help lists the flags)\n"),
        (["out", "more"], "error: expected one folder of results"),
        (["nowhere"], "error: nowhere: no such folder\n"),
        (["."], "error: .: there is no report_parts in it. Remedy: run upscale with --report\n"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    printed = report(tmp_path, *arguments, code=2)
    assert printed.startswith(message)
    assert len(printed.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_parts(tmp_path):
    parts = tmp_path / "out" / "report_parts"
    parts.mkdir(parents=True)
    (parts / "a.json").write_bytes(encode_photo(PhotoReport("a.png", (3, 2))))
    assert report(tmp_path, "out") == "report: out/report.html\n"
    assert report(tmp_path, "out", "--output", "page.html") == "report: page.html\n"
    made = (tmp_path / "page.html").read_bytes()
    assert made == (tmp_path / "out" / "report.html").read_bytes()
    expected = tmp_path / "expected.html"
    lines = ["photos: 1, adapted to their faces: 0"]
    page.write_page(expected, page.Overview("MetaF2N: out", {}, lines, metrics=READING), [parts / "a.json"])
    assert made == expected.read_bytes()
