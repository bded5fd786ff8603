"""The SR network averaged over flips and rotations, as a restorer of photos' faces."""

import numpy as np
import pytest
import recipe

from metaf2n_tf import tiles
from metaf2n_tf.data.images import to_levels
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import restorers
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restorers import Needs
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights import npz

NAME = None  # it does not ask where a face is from


def face(*box):
    return Face(0, box, 0.99, np.zeros((5, 2), np.float32))


def nearest(_params, rgb):
    return rgb.repeat(4, axis=0).repeat(4, axis=1)


def self_ensemble(monkeypatch, resolver, sr):
    monkeypatch.setattr("metaf2n_tf.faces.restorers.in_place.SuperResolver", lambda: resolver)
    return restorers.load("self_ensemble", None, Needs(sr=lambda: sr)).for_photos(published_crops=False)


def test_self_ensemble_is_registered(monkeypatch):
    """With nearest-neighbour enlargement in place of the network, every HQ pixel must repeat its LQ pixel."""
    photo = to_levels(recipe.image((60, 70, 3), 2))
    restore = self_ensemble(monkeypatch, nearest, {})
    for found in restore(photo, [face(10.7, 5.2, 40.1, 44.9), face(-4, 30, 90, 80)], NAME):
        np.testing.assert_array_equal(found.hq[::4, ::4], found.lq)
        np.testing.assert_array_equal(found.hq[3::4, 3::4], found.lq)


def test_self_ensemble_is_the_mean_of_eight_views(monkeypatch, tiny_sr):
    photo = to_levels(recipe.image((24, 30, 3), 2))
    resolver = SuperResolver()
    (found,) = self_ensemble(monkeypatch, resolver, tiny_sr)(photo, [face(0, 0, 29, 23)], NAME)
    rgb = photo.astype(np.float32) / 255
    views = []
    for turns in range(4):
        for axis in (None, 0):
            view = np.rot90(rgb if axis is None else rgb[::-1], turns)
            out = np.rot90(resolver(tiny_sr, np.ascontiguousarray(view)), -turns)
            views.append(out if axis is None else out[::-1])
    assert np.abs(found.hq.astype(int) - to_levels(np.mean(views, axis=0))).max() <= 1


def test_it_restores_with_the_models_own_network(tmp_path, tiny_sr):
    """Neither the weights are held twice, nor the network traced twice."""
    npz.write_npz(tmp_path / "w.npz", tiny_sr)
    model, photo = MetaF2N(tmp_path / "w.npz"), to_levels(recipe.image((24, 30, 3), 2))
    loaded = restorers.load("self_ensemble", None, Needs(sr=lambda: model.unadapted))
    assert all(value is model.unadapted[name] for name, value in loaded._on_device().items())
    model.upscale(photo / np.float32(255))
    traced = tiles._compiled.cache_info().misses
    loaded.for_photos(published_crops=False)(photo, [face(0, 0, 29, 23)], NAME)
    assert tiles._compiled.cache_info().misses == traced


def test_it_needs_the_network():
    with pytest.raises(UserError, match="restorer=self_ensemble: needs the SR network. Remedy: sr"):
        restorers.load("self_ensemble", None, Needs())
