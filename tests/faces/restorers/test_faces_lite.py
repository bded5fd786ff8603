"""The restorer that is an SR network trained on faces: one face at a time, and whole batches."""

import numpy as np
import pytest
import recipe
import srvgg_weights
import tensorflow as tf

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import restorers
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.restore_batch import make_restorer
from metaf2n_tf.faces.restorers import Needs, in_place
from metaf2n_tf.networks import sr
from metaf2n_tf.weights import npz

NAME = None  # it does not ask where a face is from
BOXES = {
    "inside": (30, 40, 59, 99),
    "at the left and top border": (0, 0, 25, 30),
    "partly outside": (-20, 100, 30, 140),
    "in the corner": (100, 110, 300, 300),
    "one pixel": (50, 50, 50.5, 50.5),
    "the whole photo": (0, 0, 119, 129),
    "larger than the photo": (-50, -50, 400, 400),
}


def face(*box):
    return Face(0, box, 0.99, np.zeros((5, 2), np.float32))


@pytest.fixture(
    scope="module", params=[srvgg_weights.make_tiny(), srvgg_weights.perturbed(srvgg_weights.make_tiny_context())]
)
def network(request, tmp_path_factory):
    """A compact network and one with a context branch, as files."""
    path = tmp_path_factory.mktemp("faces_lite") / "w.npz"
    npz.write_npz(path, request.param)
    return path, request.param


def build(path):
    return restorers.load("faces_lite", path, Needs()).for_photos(published_crops=False)


def test_hq_is_four_times_lq_wherever_the_face_lies(network):
    photo = to_levels(recipe.image((130, 120, 3), 1))
    found = build(network[0])(photo, [face(*box) for box in BOXES.values()], NAME)
    assert len(found) == len(BOXES)
    for name, one in zip(BOXES, found, strict=True):
        x0, y0, x1, y1 = map(int, BOXES[name])
        np.testing.assert_array_equal(one.lq, photo[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1], err_msg=name)
        assert one.hq.shape == (4 * one.lq.shape[0], 4 * one.lq.shape[1], 3), name
        assert one.hq.dtype == np.uint8
        small = one.hq.reshape(*one.lq.shape[:1], 4, one.lq.shape[1], 4, 3).mean(axis=(1, 3))
        assert np.abs(small - one.lq).mean() < 40, name  # these networks enlarge; they do not shift
    whole = to_levels(sr.forward(network[1], np.float32(photo[None]) / 255).numpy()[0])
    for name in ("the whole photo", "larger than the photo"):
        assert np.abs(found[list(BOXES).index(name)].hq.astype(int) - whole).max() <= 1


@pytest.mark.parametrize(("box", "context"), [((40, 50, 59, 69), 16), ((40, 40, 69, 99), 24)])
def test_it_sees_two_fifths_of_the_face_around_it_and_16_pixels_at_least(monkeypatch, tmp_path, box, context):
    photo, seen = to_levels(recipe.image((150, 140, 3), 1)), []

    class Nearest:
        def __call__(self, params, lq):
            seen.append(lq)
            return lq.repeat(4, axis=0).repeat(4, axis=1)

    monkeypatch.setattr(in_place, "SuperResolver", Nearest)
    npz.write_npz(tmp_path / "w.npz", srvgg_weights.make_tiny())
    (found,) = build(tmp_path / "w.npz")(photo, [face(*box)], NAME)
    x0, y0, x1, y1 = box
    around = photo[y0 - context : y1 + 1 + context, x0 - context : x1 + 1 + context]
    np.testing.assert_array_equal(to_levels(seen[0]), around)
    np.testing.assert_array_equal(found.hq[::4, ::4], found.lq)
    np.testing.assert_array_equal(found.hq[3::4, 3::4], found.lq)


def test_whole_batches_are_the_networks_output_in_levels(network):
    path, params = network
    lq = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), np.uint8)
    restored = tf.function(make_restorer(f"faces_lite:{path}", 48))(lq).numpy()
    expected = np.clip(sr.forward(params, np.float32(lq) / 255).numpy() * 255, 0, 255)
    assert restored.dtype == np.uint8
    assert np.abs(restored - expected).max() <= 0.5 + 1e-2
    assert restored.std() > 10


def test_weights_that_are_not_there_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"absent.npz: no weights there") as caught:
        build(tmp_path / "absent.npz")
    assert "\n" not in str(caught.value)


def test_whole_batches_that_are_not_finite_are_refused(network):
    params = {name: np.full_like(value, 1e38) for name, value in network[1].items()}
    restore = tf.function(in_place.InPlace(params).for_batches(48))
    with pytest.raises(tf.errors.InvalidArgumentError, match="the face restorer's output is not finite"):
        restore(tf.fill((1, 12, 12, 3), tf.constant(255, tf.uint8)))
