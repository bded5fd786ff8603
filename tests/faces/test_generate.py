import numpy as np

from metaf2n_tf.faces import detect
from metaf2n_tf.faces.choose import Choice
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.generate import FaceFinder, Selection
from metaf2n_tf.faces.restore import Setting


def test_faces_that_cannot_be_aligned_are_left_out(monkeypatch):
    marks = np.float32([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]])
    faces = [Face(0, (0, 0, 30, 30), 0.99, np.full((5, 2), 7, np.float32)), Face(1, (0, 0, 30, 30), 0.95, marks)]
    monkeypatch.setitem(detect.DETECTORS, "mtcnn", Choice(lambda: lambda rgb, confidence: faces))
    finder = FaceFinder("mtcnn", "self_ensemble", Setting(sr=dict), Selection())
    used, others = finder.find(np.zeros((40, 40, 3), np.uint8))
    assert ([face.index for face in used], [face.index for face in others]) == ([1], [0])
