import numpy as np
import recipe

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restore import RESTORERS
from metaf2n_tf.tiles import SuperResolver


def nearest(_params, rgb):
    return rgb.repeat(4, axis=0).repeat(4, axis=1)


def face(*box):
    return Face(0, box, 0.99, np.zeros((5, 2), np.float32))


def test_self_ensemble_is_registered():
    """With nearest-neighbour enlargement in place of the network, every HQ pixel must repeat its LQ pixel."""
    photo = to_levels(recipe.image((60, 70, 3), 2))
    restore = RESTORERS["self_ensemble"](nearest, {})
    for lq, hq in restore(photo, [face(10.7, 5.2, 40.1, 44.9), face(-4, 30, 90, 80)]):
        np.testing.assert_array_equal(hq[::4, ::4], lq)
        np.testing.assert_array_equal(hq[3::4, 3::4], lq)


def test_self_ensemble_is_the_mean_of_eight_views(tiny_sr):
    photo = to_levels(recipe.image((24, 30, 3), 2))
    resolver = SuperResolver()
    ((_, hq),) = RESTORERS["self_ensemble"](resolver, tiny_sr)(photo, [face(0, 0, 29, 23)])
    rgb = photo.astype(np.float32) / 255
    views = []
    for turns in range(4):
        for axis in (None, 0):
            view = np.rot90(rgb if axis is None else rgb[::-1], turns)
            out = np.rot90(resolver(tiny_sr, np.ascontiguousarray(view)), -turns)
            views.append(out if axis is None else out[::-1])
    assert np.abs(hq.astype(int) - to_levels(np.mean(views, axis=0))).max() <= 1
