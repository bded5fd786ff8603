from pathlib import Path

import numpy as np
import pytest

from metaf2n_tf.commands.runs.faces import FaceFinder, Selection
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import detect
from metaf2n_tf.faces.choose import Choice
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restore import Setting


def test_faces_that_cannot_be_aligned_are_left_out(monkeypatch):
    marks = np.float32([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]])
    faces = [Face(0, (0, 0, 30, 30), 0.99, np.full((5, 2), 7, np.float32)), Face(1, (0, 0, 30, 30), 0.95, marks)]
    monkeypatch.setitem(detect.DETECTORS, "mtcnn", Choice(lambda: lambda rgb, confidence: faces))
    finder = FaceFinder("mtcnn", "self_ensemble", Setting(sr=dict), Selection())
    used, others = finder.find(np.zeros((40, 40, 3), np.uint8))
    assert ([face.index for face in used], [face.index for face in others]) == ([1], [0])


def test_exemplars_go_with_asffnet_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "ASFFNet512.pth").touch()
    for restorer, given, message in (
        ("self_ensemble", {"exemplar_dir": Path("people")}, "--exemplar_dir: self_ensemble takes no exemplars. Remedy"),
        ("asffnet", {"exemplar_map": Path("map.txt")}, "--exemplar_map: names persons of --exemplar_dir, which is not"),
        ("asffnet", {}, "--restorer asffnet: needs HQ photos of the persons. Remedy: .* --exemplar_dir"),
    ):
        with pytest.raises(UserError, match=message):
            FaceFinder("mtcnn", restorer, Setting(sr=dict, **given), Selection())


def test_weights_of_ones_own_are_named_with_the_restorer(tmp_path):
    with pytest.raises(UserError, match="mine.pth: "):
        FaceFinder("mtcnn", f"gpen:{tmp_path}/mine.pth", Setting(sr=dict), Selection())
    with pytest.raises(UserError, match="--restorer self_ensemble:a.pth: self_ensemble has no weights of its own"):
        FaceFinder("mtcnn", "self_ensemble:a.pth", Setting(sr=dict), Selection())
