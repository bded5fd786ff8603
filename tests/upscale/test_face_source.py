"""Face pairs out of a folder, and found."""

from pathlib import Path

import numpy as np
import pytest

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import detect, folder
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights import npz


@pytest.fixture
def model(tmp_path, tiny_sr):
    npz.write_npz(tmp_path / "w.npz", tiny_sr)
    return MetaF2N(tmp_path / "w.npz")


def test_faces_come_from_the_folder_or_are_found_in_the_pixels(tmp_path, model, sample_lq):
    rgb = images.read_photo(sample_lq).rgb
    found = FaceSource(None, "mtcnn", "self_ensemble", model)
    ((lq, hq),) = found.pairs(Path("a.png"), rgb)
    assert hq.shape == (4 * lq.shape[0], 4 * lq.shape[1], 3)
    assert found.settings["restorer"] == "self_ensemble"
    assert found.inputs(Path("a.png")) == []
    folder.write_pictures(tmp_path / "faces", Path("a.png"), {folder.HQ: {0: hq}, folder.LQ: {0: lq}})
    read = FaceSource(tmp_path / "faces", None, None, model)
    np.testing.assert_array_equal(read.pairs(Path("a.png"), rgb)[0][1], hq)
    assert set(read.settings.values()) == {None}
    places = [source.faces(Path("a.png"), rgb)[0].place for source in (found, read)]
    assert places[0] == places[1]
    np.testing.assert_array_equal(images.to_levels(rgb)[places[0]], lq)
    assert read.faces(Path("a.png"), rgb, placed=False)[0].place is None
    side = min(lq.shape[:2])
    for min_face, count in ((side, 1), (side + 1, 0)):
        assert len(FaceSource(tmp_path / "faces", None, None, model, min_face).pairs(Path("a.png"), rgb)) == count
        assert len(FaceSource(None, "mtcnn", "self_ensemble", model, min_face).pairs(Path("a.png"), rgb)) == count
    assert len(read.inputs(Path("a.png"))) == 2


def test_exemplars_are_named_where_faces_are_made(model):
    with pytest.raises(UserError) as caught:
        FaceSource(None, "mtcnn", "asffnet", model)
    flags = caught.value.message.spelled(lambda part: " ".join(filter(None, [f"--{part.name}", part.value])))
    assert flags == (
        "--restorer asffnet: needs HQ photos of the persons. Remedy: python generate_test_faces.py with --exemplar_dir"
        ", and its faces as --face_dir"
    )


def test_nothing_is_loaded_before_a_photo_needs_it(model, sample_lq, monkeypatch):
    """What decides the faces is known before; what was loaded serves every photo."""
    built, row = [], detect.DETECTORS["mtcnn"]
    monkeypatch.setitem(detect.DETECTORS, "mtcnn", detect.Detector(lambda: built.append(1) or row.build()))
    source = FaceSource(None, "mtcnn", "faces_lite", model)
    assert (source.settings["detector"], len(source.settings["restorer_weights"]), built) == ("mtcnn", 16, [])
    source.load()
    assert built == [1]
    assert len(source.pairs(Path("a.png"), images.read_photo(sample_lq).rgb)) == 1
    assert built == [1]
