import dataclasses
import hashlib
import re
from pathlib import Path

import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import detect, registry, restorers
from metaf2n_tf.faces.detect import Detector
from metaf2n_tf.weights import catalogue
from metaf2n_tf.weights.catalogue import ByHand, Entry, Url

TABLE = {"file": Detector(None, "own"), "net": Detector(None, "far", fetched=True), "inside": Detector(None)}


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    """A catalogue of two files, neither there, neither to be had."""
    entries = {
        name: Entry("test", str(tmp_path / f"{name}.pth"), 5, Url("http://127.0.0.1:9/a.pth"))
        for name in ("own", "far")
    }
    monkeypatch.setattr(registry, "CATALOGUE", entries)
    return tmp_path


def pick(name=None):
    return registry.choose("detector", name, TABLE, ["file", "net", "inside"])


def test_the_first_whose_weights_are_there_is_the_default(weights):
    name, path, why = pick()
    assert (name, path) == ("inside", None)
    assert re.fullmatch(
        r"; not file: there is no .*own.pth; not net: http://127.0.0.1:9/a.pth: cannot be reached .*", why
    )
    (weights / "far.pth").touch()
    assert pick()[:2] == ("net", weights / "far.pth")
    (weights / "own.pth").touch()
    assert pick() == ("file", weights / "own.pth", "")


def test_what_is_asked_for_is_never_replaced(weights):
    with pytest.raises(
        UserError, match=r"detector=file: there is no .*own.pth. Remedy: .*download_weights.py own, or get"
    ):
        pick("file")
    with pytest.raises(UserError, match=r"detector=net: http://127.0.0.1:9/a.pth: cannot be reached"):
        pick("net")
    with pytest.raises(UserError, match=r"detector=eyes: not one of file, net, inside"):
        pick("eyes")
    assert pick("inside") == ("inside", None, "")
    assert pick("file:mine/a.pth") == ("file", Path("mine/a.pth"), "")
    for wrong in ("", ":a.pth", "eyes:a.pth", "file:"):
        with pytest.raises(UserError, match=rf"detector={wrong}: not one of file, net, inside"):
            pick(wrong)
    with pytest.raises(UserError, match="detector=inside:a.pth: inside has no weights of its own"):
        pick("inside:a.pth")
    assert sorted(weights.iterdir()) == []  # a download that never began leaves nothing


def test_what_is_shared_by_hand_is_not_promised_by_the_script(weights, monkeypatch):
    monkeypatch.setattr(
        registry, "CATALOGUE", {"own": Entry("test", str(weights / "own.pth"), 5, ByHand("https://a.org"))}
    )
    with pytest.raises(UserError, match=r"Remedy: get it from https://a.org \(5 MB\)$"):
        pick("file")


@pytest.mark.parametrize("size", [256, 1024, 2048])
def test_gpen_by_size(size):
    row = restorers.RESTORERS[f"gpen_{size}"]
    assert catalogue.CATALOGUE[row.weights].file == f"GPEN-BFR-{size}.pth"


@pytest.mark.parametrize(
    ("table", "preferred"),
    [(detect.DETECTORS, detect.PREFERRED), (restorers.RESTORERS, restorers.defaults())],
)
def test_every_name_is_in_the_catalogue(table, preferred):
    assert {row.weights for row in table.values()} - {None} <= set(catalogue.CATALOGUE)
    assert set(preferred) <= set(table)


def test_libraries_of_others_are_handed_the_published_file_alone(weights):
    path = weights / "own.pth"
    path.write_bytes(b"hello")
    digest = hashlib.sha256(b"hello").hexdigest()
    registry.CATALOGUE["own"] = dataclasses.replace(registry.CATALOGUE["own"], read_by_others=digest)
    assert registry.find_weights("own") == path
    path.write_bytes(b"hellO")
    with pytest.raises(UserError, match=r"own.pth: damaged, or another file than test. Remedy: delete it and fetch"):
        registry.find_weights("own")


def test_files_that_libraries_of_others_read_have_a_checksum():
    natives = {name for name, entry in catalogue.CATALOGUE.items() if entry.file.endswith((".h5", ".tflite"))}
    assert natives == {"retinaface", "face-mesh"}
    assert natives == {name for name, entry in catalogue.CATALOGUE.items() if entry.read_by_others}
