import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import masknet
from metaf2n_tf.upscale import model
from metaf2n_tf.upscale.patches import sample_patches
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


def test_auto_needs_two_patches_and_gives_the_same_on_every_run(meta_trained):
    runs = [meta_trained.adapt([face(30, 26)], patch_size=32, patch_num_per_img=8, auto=True) for _ in range(2)]
    (steps, params), (again, same) = (adaptation.best(3) for adaptation in runs)
    assert (runs[0].patches, len(runs[0].held_out_losses), steps) == (6, 4, again)
    assert runs[0].held_out_losses == runs[1].held_out_losses
    np.testing.assert_array_equal(params["MODEL/conv_last/weight"], same["MODEL/conv_last/weight"])
    single = meta_trained.adapt([face(7, 8)], patch_size=32, auto=True)
    assert single.best(3) == (0, meta_trained.unadapted)
    (remark,) = map(str, single.remarks({"auto:3": 0}))
    assert remark == "a single patch leaves none to judge the steps by, so auto makes none"


def test_plain_steps_are_made_on_the_published_patches(meta_trained):
    """Those that judge are drawn after them."""
    faces = [face(30, 26), face(20, 40, 7)]
    adaptation = meta_trained.adapt(faces, patch_size=32, patch_num_per_img=4, seed=3)
    drawn = sample_patches(faces, 32, 4, np.random.default_rng(3))
    (_, _, lq, hq), (_, _, judging, _) = adaptation._chunks[0], adaptation._held_out[0]
    np.testing.assert_array_equal(lq, drawn[0])
    np.testing.assert_array_equal(hq, drawn[1])
    assert (adaptation.patches, len(judging)) == (8, 2)


def test_impossible_patches(meta_trained):
    with pytest.raises(UserError, match="patch_size=30"):
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
