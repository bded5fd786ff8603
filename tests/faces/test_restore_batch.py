"""Restorers of whole batches."""

import numpy as np
import pytest
import tensorflow as tf
from face_weights import gpen_state_dict, tiny_gpen_state_dict, to_params
from torch_file import write_pth

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.data.operations.resize import resize_to
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.restore_batch import RESTORERS, make_restorer
from metaf2n_tf.networks import gpen, rrdbnet


def make_faces(count, side):
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), np.uint8)


def enlarge(lq):
    planes = tf.constant(np.float32(lq).transpose(0, 3, 1, 2))
    size = (4 * lq.shape[1], 4 * lq.shape[2])
    return resize_to(planes, size, "bicubic").numpy().transpose(0, 2, 3, 1)


def test_none_is_the_enlarged_face():
    lq = make_faces(2, 20)
    restored = tf.function(make_restorer("none", 80, None))(tf.constant(lq))
    np.testing.assert_array_equal(restored, to_levels(enlarge(lq) / 255))


def test_gpen_takes_the_enlarged_face_and_cuts_its_output_to_levels(tmp_path, monkeypatch):
    state = tiny_gpen_state_dict()
    params = to_params(state)
    side = gpen.resolution(params)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    write_pth(tmp_path / "weights" / "GPEN-BFR-256.pth", state)
    lq = make_faces(3, side // 4)
    restored = tf.function(make_restorer("gpen_256", side, None))(tf.constant(lq)).numpy()
    outputs = gpen.forward(params, tf.constant(enlarge(lq) / 255 * 2 - 1)).numpy()
    levels = np.clip(outputs * 0.5 + 0.5, 0, 1) * 255
    assert restored.dtype == np.uint8
    assert np.abs(restored - levels + 0.5).max() <= 0.5 + 1e-3  # cut off, not rounded
    with pytest.raises(UserError, match=f"restores faces of {side} pixels, and these have {2 * side}"):
        make_restorer("gpen_256", 2 * side, None)


def test_gpen_256_takes_faces_of_256_pixels():
    assert gpen.resolution(to_params(gpen_state_dict("gpen256"))) == 256


def test_self_ensemble_is_the_mean_over_flips_and_rotations(tiny_sr):
    lq = make_faces(2, 12)
    restored = tf.function(make_restorer("self_ensemble", 48, lambda: tiny_sr))(tf.constant(lq)).numpy()
    total = 0
    for turns in range(4):
        for mirrored in (False, True):
            view = np.rot90(lq, turns, (1, 2))
            view = view[:, :, ::-1] if mirrored else view
            out = rrdbnet.forward(tiny_sr, np.float32(view / 255)).numpy()
            total = total + np.rot90(out[:, :, ::-1] if mirrored else out, -turns, (1, 2))
    assert np.abs(np.int32(restored) - to_levels(total / 8)).max() <= 1


def test_no_restorer_takes_anothers_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(RESTORERS) == ["gpen_256", "self_ensemble", "none", "ground_truth"]
    with pytest.raises(UserError, match=r"--restorer gpen_256: there is no weights/GPEN-BFR-256.pth. Remedy:"):
        make_restorer("gpen_256", 256, None)
    with pytest.raises(UserError, match="--restorer gpen: not one of gpen_256, self_ensemble, none"):
        make_restorer("gpen", 256, None)
