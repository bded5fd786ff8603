import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import masknet
from metaf2n_tf.upscale import model
from metaf2n_tf.weights import npz, tf1_checkpoint


@pytest.fixture
def meta_trained(tmp_path, tiny_sr, golden_mask):
    tf1_checkpoint.write_checkpoint(tmp_path / "model-1", tiny_sr | golden_mask)
    return model.MetaF2N(tmp_path)


def face(height, width, seed=3):
    return images.to_levels(recipe.image((height, width, 3), seed)), images.to_levels(
        recipe.image((4 * height, 4 * width, 3), seed + 1)
    )


def test_adapt_and_upscale(meta_trained):
    """From the loaded weights at each call, with the rate that suits them, reproducibly."""
    photo = recipe.image((24, 20, 3), 1)
    runs = []
    for _ in range(2):
        adaptation = meta_trained.adapt([face(30, 26)], patch_size=32, patch_num_per_img=4)
        runs.append([meta_trained.upscale(photo, params) for _, params in adaptation.trajectory([0, 2])])
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0][0], meta_trained.upscale(photo))
    assert not np.array_equal(runs[0][0], runs[0][1])
    assert (runs[0][1].shape, runs[0][1].dtype) == ((96, 80, 3), np.uint8)
    assert meta_trained.task_lr == 1e-2
    assert adaptation.patches == 4
    assert adaptation.losses[2] < adaptation.losses[0]


def test_without_faces_nothing_is_adapted(meta_trained):
    adaptation = meta_trained.adapt([])
    assert [params is meta_trained.unadapted for _, params in adaptation.trajectory([0, 3])] == [True, True]


def test_impossible_patches(meta_trained):
    with pytest.raises(UserError, match="--patch_size 30"):
        meta_trained.adapt([], patch_size=30)


def test_the_weight_map_in_tiles_is_the_whole_one(meta_trained, golden_mask, monkeypatch):
    monkeypatch.setattr(model, "_MASK_TILE", 9)
    lq, hq = face(40, 23)
    whole = masknet.forward(golden_mask, *(tf.constant(np.float32(x[None]) / np.float32(255)) for x in (lq, hq)))
    found = meta_trained.weight_map(lq, hq)
    assert 0 < found.mean() < 1
    np.testing.assert_allclose(found, whole[0, ..., 0], atol=1e-6)


def test_plain_weights_have_no_weight_map(tmp_path, tiny_sr):
    npz.write_npz(tmp_path / "plain.npz", tiny_sr)
    plain = model.MetaF2N(tmp_path / "plain.npz")
    assert plain.weight_map(*face(20, 20)) is None
    assert plain.task_lr == 1e-3
