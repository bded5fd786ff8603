"""What is told of the work on a photo, and who hears it."""

import numpy as np
import pytest

from metaf2n_tf import progress
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights import npz


@pytest.fixture
def heard():
    return []


@pytest.fixture
def listener(heard):
    return lambda *told: heard.append(told)


def test_each_item_is_told_before_it(heard, listener):
    with progress.heard_by(listener):
        for item in progress.told("steps", "ab"):
            heard.append(item)
    assert heard == [("steps", 0, 2), "a", ("steps", 1, 2), "b"]


def test_only_what_is_told_in_the_block_is_heard(heard, listener):
    assert list(progress.told("steps", "ab")) == ["a", "b"]
    with progress.heard_by(listener):
        with progress.heard_by(lambda *_: None):
            list(progress.told("steps", "ab"))
        assert not heard
    with pytest.raises(KeyError), progress.heard_by(listener):
        raise KeyError
    list(progress.told("steps", "ab"))
    assert not heard


def test_what_the_listener_raises_ends_the_work():
    def stop(what, done, total):
        if done == 1:
            raise InterruptedError

    seen = []
    with pytest.raises(InterruptedError), progress.heard_by(stop):
        seen.extend(progress.told("steps", "ab"))
    assert seen == ["a"]


def test_tiles_and_steps_are_told(heard, listener, tiny_sr, tmp_path):
    with progress.heard_by(listener):
        SuperResolver(tile=32, tile_pad=2)(tiny_sr, np.zeros((40, 70, 3), np.float32), 8)
    assert heard == [("tiles", done, 6) for done in range(6)]
    heard.clear()
    npz.write_npz(tmp_path / "model.npz", tiny_sr)
    face = np.zeros((16, 16, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    with progress.heard_by(listener):
        list(MetaF2N(tmp_path / "model.npz").adapt([face], patch_num_per_img=2).trajectory([0, 2]))
    assert heard == [("steps", done, 3) for done in range(3)]
