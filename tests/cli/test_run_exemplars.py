"""ASFFNet's published test on a list, with narrow recipe weights."""

import shutil
from pathlib import Path

import cv2
import exemplar_samples as samples
import numpy as np
import pytest
from asffnet_weights import tiny_asffnet_state_dict
from torch_file import write_pth

from metaf2n_tf.commands.runs import exemplars
from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.exemplars.guided import GuidedNetwork
from metaf2n_tf.faces.exemplars.landmarks import Landmarker, write_landmarks
from metaf2n_tf.faces.exemplars.persons import Exemplar


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The published layout: LQ faces, a person's exemplars, their landmarks, a list."""
    monkeypatch.chdir(tmp_path)
    for folder in ("weights", "LQCrop", "HQ/ann", "HQ_Landmarks/ann"):
        (tmp_path / folder).mkdir(parents=True)
    write_pth(tmp_path / "weights/ASFFNet512.pth", tiny_asffnet_state_dict())
    shutil.copy(samples.MESH, tmp_path / "weights")
    for name in samples.NAMES:
        images.write_rgb8(tmp_path / f"HQ/ann/{name}.png", samples.aligned(name))
        write_landmarks(tmp_path / f"HQ_Landmarks/ann/{name}.png.txt", samples.reference(name))
    small = cv2.resize(samples.aligned("astronaut"), (80, 80), interpolation=cv2.INTER_AREA)
    images.write_rgb8(tmp_path / "LQCrop/i1.png", small)
    images.write_rgb8(tmp_path / "LQCrop/i2.png", samples.aligned("grace_hopper"))
    write_landmarks(tmp_path / "LQCrop/i2.png.txt", samples.reference("grace_hopper"))
    return tmp_path


def write_list(place, *names):
    lines = [f"./LQCrop/{name}\t./HQ/ann\t./HQ_Landmarks/ann" for name in names]
    (place / "list.txt").write_text("\n".join(lines))
    return place / "list.txt"


def test_face_exemplar_and_result_lie_side_by_side(place):
    assert exemplars.run(write_list(place, "i1.png", "i2.png"), place / "out", None) == 0
    network = GuidedNetwork(place / "weights/ASFFNet512.pth")
    for name, sample in (("i1", "astronaut"), ("i2", "grace_hopper")):
        row = images.read_rgb8(place / f"out/{name}.png")
        assert row.shape == (512, 3 * 512, 3)
        lq, exemplar, restored = np.split(row, 3, axis=1)
        given = images.read_rgb8(place / f"LQCrop/{name}.png")
        np.testing.assert_array_equal(lq, cv2.resize(given, (512, 512), interpolation=cv2.INTER_AREA))
        np.testing.assert_array_equal(exemplar, samples.aligned(sample))
        landmarks = Landmarker(samples.MESH)(lq) if name == "i1" else samples.reference(sample)
        expected = network(lq, landmarks, [Exemplar(None, exemplar, samples.reference(sample))])
        np.testing.assert_array_equal(restored, expected)


def test_what_cannot_be_restored_is_reported_and_the_rest_goes_on(place, capsys):
    images.write_rgb8(place / "LQCrop/blank.png", np.zeros((512, 512, 3), np.uint8))
    images.write_rgb8(place / "LQCrop/wide.png", np.zeros((600, 700, 3), np.uint8))
    listed = write_list(place, "missing.png", "blank.png", "wide.png", "i2.png")
    with listed.open("a") as stream:
        shutil.copy(place / "LQCrop/i2.png", place / "LQCrop/i3.png")
        shutil.copy(place / "LQCrop/i2.png.txt", place / "LQCrop/i3.png.txt")
        stream.write("\n./LQCrop/i3.png\t./HQ/ann\t./HQ\n")
    assert exemplars.run(listed, place / "out", None) == 1
    assert [file.name for file in (place / "out").iterdir()] == ["i2.png"]
    log = capsys.readouterr().err
    for message in (
        "LQCrop/missing.png: not a readable picture",
        "LQCrop/blank.png: no landmarks found in it. Remedy: a landmark file blank.png.txt beside it",
        "LQCrop/wide.png: 700x600; aligned faces of at most 512x512 are expected",
        "HQ: no landmark files there",
    ):
        assert message in log


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected lines 'LQ FACE<TAB>"),
        ("a.png HQ HQ\n", "expected lines"),
        ("a.png\tHQ\tL\nb/a.jpg\tHQ\tL\n", "b/a.jpg and a.png would give results of one name"),
        ("a.png\tHQ\tL\na.png\tHQ\tM\n", "a.png is listed twice"),
    ],
)
def test_bad_lists_are_refused(tmp_path, text, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UserError, match=rf"--img_list .*list.txt: {message}"):
        exemplars.read_list(tmp_path / "list.txt")
    with pytest.raises(UserError, match=r"img_list=.*none.txt: cannot be read"):
        exemplars.read_list(tmp_path / "none.txt")


def test_results_never_take_the_place_of_what_is_read(place):
    before = (place / "LQCrop/i1.png").read_bytes()
    for out in ("LQCrop", "HQ/ann"):
        with pytest.raises(UserError, match=rf"--out_path {out}: pictures of the list lie there. Remedy"):
            exemplars.run(write_list(place, "i1.png"), Path(out), None)
    assert (place / "LQCrop/i1.png").read_bytes() == before


def test_missing_weights_are_named(place):
    (place / "weights/ASFFNet512.pth").unlink()
    with pytest.raises(UserError, match=r"asffnet: there is no weights/ASFFNet512.pth. Remedy: get it from https"):
        exemplars.run(write_list(place, "i1.png"), place / "out", None)
