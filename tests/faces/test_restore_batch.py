"""Restorers of whole batches."""

import shutil

import cv2
import exemplar_samples as samples
import numpy as np
import pytest
import tensorflow as tf
from asffnet_weights import tiny_asffnet_state_dict
from face_weights import gpen_state_dict, tiny_gpen_state_dict, to_params
from kdfsrnet_weights import tiny_state_dict
from torch_file import write_pth

from metaf2n_tf.data import images
from metaf2n_tf.data.images import to_levels
from metaf2n_tf.data.operations.resize import resize_to
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import restorers
from metaf2n_tf.faces.exemplars.guided import GuidedNetwork
from metaf2n_tf.faces.exemplars.landmarks import Landmarker, write_landmarks
from metaf2n_tf.faces.exemplars.persons import Exemplar
from metaf2n_tf.faces.restore_batch import make_restorer
from metaf2n_tf.networks import gpen, kdfsrnet, rrdbnet
from metaf2n_tf.weights.face_networks import load_kdfsrnet


def make_faces(count, side):
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), np.uint8)


def enlarge(lq):
    planes = tf.constant(np.float32(lq).transpose(0, 3, 1, 2))
    size = (4 * lq.shape[1], 4 * lq.shape[2])
    return resize_to(planes, size, "bicubic").numpy().transpose(0, 2, 3, 1)


def test_none_is_the_enlarged_face():
    lq = make_faces(2, 20)
    restored = tf.function(make_restorer("none", 80))(tf.constant(lq))
    np.testing.assert_array_equal(restored, to_levels(enlarge(lq) / 255))


def test_gpen_takes_the_enlarged_face_and_cuts_its_output_to_levels(tmp_path, monkeypatch):
    state = tiny_gpen_state_dict()
    params = to_params(state)
    side = gpen.resolution(params)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    write_pth(tmp_path / "weights" / "GPEN-BFR-256.pth", state)
    lq = make_faces(3, side // 4)
    restored = tf.function(make_restorer("gpen_256", side))(tf.constant(lq)).numpy()
    outputs = gpen.forward(params, tf.constant(enlarge(lq) / 255 * 2 - 1)).numpy()
    levels = np.clip(outputs * 0.5 + 0.5, 0, 1) * 255
    assert restored.dtype == np.uint8
    assert np.abs(restored - levels + 0.5).max() <= 0.5 + 1e-3  # cut off, not rounded
    with pytest.raises(UserError, match=f"restores faces of {side} pixels, and these have {2 * side}"):
        make_restorer("gpen_256", 2 * side)


def test_gpen_256_takes_faces_of_256_pixels():
    assert gpen.resolution(to_params(gpen_state_dict("gpen256"))) == 256


def test_self_ensemble_is_the_mean_over_flips_and_rotations(tiny_sr):
    lq = make_faces(2, 12)
    restored = tf.function(make_restorer("self_ensemble", 48, sr=lambda: tiny_sr))(tf.constant(lq)).numpy()
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
    assert list(restorers.of_batches()) == [
        "gpen_256",
        "asffnet",
        "kdfsrnet",
        "faces_lite",
        "self_ensemble",
        "none",
        "ground_truth",
    ]
    with pytest.raises(UserError, match=r"restorer=gpen_256: there is no weights/GPEN-BFR-256.pth. Remedy:"):
        make_restorer("gpen_256", 256)
    with pytest.raises(
        UserError, match="restorer=gpen: not one of gpen_256, asffnet, kdfsrnet, faces_lite, self_ensemble, none"
    ):
        make_restorer("gpen", 256)


def test_kdfsrnet_takes_the_enlarged_face_in_levels(tmp_path):
    state = tiny_state_dict(kdfsrnet.Architecture(3, 16, 1))
    write_pth(tmp_path / "student.pth", state)
    lq = make_faces(2, 12)
    restored = tf.function(make_restorer(f"kdfsrnet:{tmp_path}/student.pth", 48))(tf.constant(lq)).numpy()
    enlarged = np.float32(to_levels(enlarge(lq) / 255)) / 255
    _, outputs = kdfsrnet.forward(load_kdfsrnet(tmp_path / "student.pth"), tf.constant(enlarged))
    assert restored.std() > 1
    assert np.abs(restored - np.clip(outputs * 255, 0, 255)).max() <= 0.5 + 1e-2
    with pytest.raises(UserError, match="the faces' side, 40 pixels, is no multiple of 16"):
        make_restorer(f"kdfsrnet:{tmp_path}/student.pth", 40)


def test_asffnet_takes_exemplars_of_one_person(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    shutil.copy(samples.MESH, tmp_path / "weights")
    write_pth(tmp_path / "weights" / "ASFFNet512.pth", tiny_asffnet_state_dict())
    for person in ("ann", "bob"):
        (tmp_path / "people" / person).mkdir(parents=True)
    for name in samples.NAMES:
        images.write_rgb8(tmp_path / "people" / "ann" / f"{name}.png", samples.aligned(name))
        write_landmarks(tmp_path / "people" / "ann" / f"{name}.png.txt", samples.reference(name))
    lq = np.stack([cv2.resize(samples.aligned(name), (64, 64), interpolation=cv2.INTER_AREA) for name in samples.NAMES])
    restored = tf.function(make_restorer("asffnet", 256, exemplar_dir=tmp_path / "people" / "ann"))(lq).numpy()
    assert restored.shape == (2, 256, 256, 3)
    network, landmarker = GuidedNetwork(tmp_path / "weights" / "ASFFNet512.pth"), Landmarker(samples.MESH)
    for name, face, found in zip(samples.NAMES, lq, restored, strict=True):
        square = cv2.resize(face, (512, 512), interpolation=cv2.INTER_CUBIC)
        exemplar = Exemplar(None, samples.aligned(name), samples.reference(name))
        expected = network.levels(square, landmarker(square), [exemplar])
        means = expected.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
        assert np.abs(found - means).max() <= 0.5 + 1e-3
    for choice, exemplar_dir, message in (
        ("asffnet", None, "restorer=asffnet: needs HQ photos of the persons. Remedy: exemplar_dir"),
        ("none", tmp_path, "exemplar_dir: none takes no exemplars. Remedy: restorer=asffnet"),
        ("asffnet", tmp_path / "people", "bob: no photos there"),
    ):
        with pytest.raises(UserError, match=message):
            make_restorer(choice, 256, exemplar_dir=exemplar_dir)
    images.write_rgb8(tmp_path / "people" / "bob" / "a.png", samples.aligned("astronaut"))
    with pytest.raises(UserError, match="holds 2 persons, and TFRecords do not say whose faces they hold"):
        make_restorer("asffnet", 256, exemplar_dir=tmp_path / "people")
