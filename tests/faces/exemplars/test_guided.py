"""ASFFNet as a restorer of aligned faces, with narrow recipe weights."""

from pathlib import Path

import exemplar_samples as samples
import numpy as np
import pytest
import tensorflow as tf
from asffnet_weights import tiny_asffnet_state_dict, to_params
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.exemplars.guidance import point_mask
from metaf2n_tf.faces.exemplars.guided import GuidedNetwork, GuidedRestorer
from metaf2n_tf.faces.exemplars.persons import Exemplar
from metaf2n_tf.faces.exemplars.warp import mls_grid
from metaf2n_tf.faces.restored import Source
from metaf2n_tf.networks import asffnet


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("asffnet") / "ASFFNet512.pth"
    write_pth(path, tiny_asffnet_state_dict())
    return path


@pytest.fixture(scope="module")
def exemplars():
    return [Exemplar(Path(name), samples.aligned(name), samples.reference(name)) for name in samples.NAMES]


def test_the_network_sees_face_exemplar_mask_and_warp(weights, exemplars):
    face, other = exemplars
    landmarks = face.landmarks + np.random.default_rng(2).normal(0, 3, (68, 2))
    restored = GuidedNetwork(weights)(face.rgb, landmarks, [other])
    lq, ref = (tf.constant(np.float32(one.rgb[None]) / 127.5 - 1) for one in (face, other))
    mask, grid = (tf.constant(part[None]) for part in (point_mask(landmarks), mls_grid(landmarks, other.landmarks)))
    levels = asffnet.forward(to_params(tiny_asffnet_state_dict()), lq, ref, mask, grid).numpy()[0] * 127.5 + 127.5
    assert restored.dtype == np.uint8
    assert levels.std() > 1
    assert np.abs(restored - levels).max() <= 0.5 + 1e-2  # rounded
    assert (restored != GuidedNetwork(weights)(face.rgb, landmarks, [face])).any()
    both = GuidedNetwork(weights)(face.rgb, landmarks, exemplars[::-1])  # the one that suits best is taken
    np.testing.assert_array_equal(both, GuidedNetwork(weights)(face.rgb, landmarks, [face]))


def test_faces_of_nobody_or_without_landmarks_are_left_out_and_named(weights, exemplars, caplog, monkeypatch):
    class Library:
        def person_of(self, photo, index):
            assert photo == Source(Path("trip/a.png"), 9)
            if index == 5:
                raise UserError("not in map.txt")
            return {4: "ann", 6: "ann", 7: "bob"}[index]

        def exemplars(self, person, read):
            if person == "bob":
                raise UserError("none of the exemplars of bob can be used")
            return exemplars

    found = iter([exemplars[0].landmarks, None])
    monkeypatch.setattr("metaf2n_tf.faces.exemplars.guided.find_weights", lambda *_, **__: samples.MESH)
    restore = GuidedRestorer(weights, Library(), None)
    restore.landmarker = lambda square: next(found)
    squares = np.stack([exemplars[0].rgb] * 4)
    restored = restore(squares, Source(Path("trip/a.png"), 9), [4, 5, 6, 7])
    assert [square is None for square in restored] == [False, True, True, True]
    np.testing.assert_array_equal(restored[0], restore.network(squares[0], exemplars[0].landmarks, exemplars))
    log = caplog.text
    assert "trip/a.png: face 5 is left out: not in map.txt\n" in log
    assert "trip/a.png: face 6 is left out: no landmarks are found in it\n" in log
    assert "trip/a.png: face 7 is left out: none of the exemplars of bob can be used\n" in log


def test_weights_that_give_no_picture_are_refused(tmp_path, exemplars):
    state = tiny_asffnet_state_dict()
    state["UpModel.9.weight_orig"] *= np.float32(1e-30)
    state = {
        name: value * np.float32(1e30) if name == "LQ_Model.conv1.0.bias" else value for name, value in state.items()
    }
    write_pth(tmp_path / "a.pth", state)
    with pytest.raises(UserError, match="not finite"):
        GuidedNetwork(tmp_path / "a.pth")(exemplars[0].rgb, exemplars[0].landmarks, exemplars)
