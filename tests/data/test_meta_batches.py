"""Meta-batches: what they hold, how they are drawn, and that seed and step are all they depend on."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import config
from metaf2n_tf.data import meta_batches
from metaf2n_tf.data.degradation import SMALLEST, STAGES, degrade, draw_parameters
from metaf2n_tf.data.meta_batches import MetaBatches, Shape, choose_corners, make_task, task_dataset
from metaf2n_tf.data.operations.usm import sharpen
from metaf2n_tf.data.tfrecords.crops import log_gradient
from metaf2n_tf.data.tfrecords.encode import encode_records
from metaf2n_tf.data.tfrecords.records import open_set
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.restore_batch import make_restorer

FACE, BACKGROUND = 80, 96
SHAPE = Shape(tasks=2, pairs=3, face_patch=40, background_patch=64)
ENLARGE = make_restorer("none", FACE)


def make_squares(count, side, seed):
    """Smooth coloured pictures, each of another main colour."""
    rng = np.random.default_rng(seed)
    small = tf.constant(rng.random((count, side // 8, side // 8, 3), np.float32))
    smooth = tf.image.resize(small, (side, side), "bicubic").numpy() * 0.6 + rng.random((count, 1, 1, 3)) * 0.4
    return np.uint8(np.clip(smooth, 0, 1) * 255)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    arrays = make_squares(5, FACE, 0), make_squares(7, BACKGROUND, 1)
    opened = []
    for index, squares in enumerate(arrays):
        path = folder / f"{index}.tfrecord"
        path.write_bytes(encode_records(squares).tobytes())
        opened.append(open_set(str(path)))
    return opened, arrays


def take(sets, count, **options):
    tasks = task_dataset(*sets[0], SHAPE, **options)
    with MetaBatches(tasks, ENLARGE, SHAPE) as batches:
        taken = [tf.nest.map_structure(lambda x: x.numpy(), batch) for batch in itertools.islice(batches, count)]
    assert not batches._thread.is_alive()
    return taken


@pytest.fixture(scope="module")
def batches(sets):
    return take(sets, 4)


def shuffled(count, first, seed):
    return meta_batches._shuffled(tf.data.Dataset.range(first, 2**62), count, seed)


def assert_same(one, other):
    for name, a, b in zip(one._fields, one, other, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def test_names_shapes_and_ranges_are_the_published_ones(batches):
    batch = batches[0]
    assert batch._fields == ("inputa", "labela", "inputb", "labelb", "labela_gt", "labelb_nousm")
    assert batch.inputa.shape == (2, 3, 10, 10, 3)
    assert batch.labela.shape == batch.labela_gt.shape == (2, 3, 40, 40, 3)
    assert batch.inputb.shape == (2, 3, 16, 16, 3)
    assert batch.labelb.shape == batch.labelb_nousm.shape == (2, 3, 64, 64, 3)
    for name, tensor in zip(batch._fields, batch, strict=True):
        assert tensor.dtype == np.float32, name
        assert tensor.min() >= 0, name
        assert 0.5 < tensor.max() <= 1, name
    for name in ("inputa", "labela", "inputb", "labela_gt", "labelb_nousm"):  # labelb is sharpened after decoding
        levels = getattr(batch, name) * 255
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("step", "workers"), [(1, 1), (3, 3)])
def test_a_run_resumes_at_any_step_with_any_number_of_workers(sets, batches, step, workers):
    assert_same(batches[step], take(sets, 1, first_step=step, workers=workers)[0])


def test_shares_of_a_batch_are_its_tasks(sets, batches):
    for part in range(2):
        for index, batch in enumerate(take(sets, 2, first_step=1, share=(part, 2))):
            whole = batches[1 + index]
            assert_same(batch, type(whole)(*(tensor[part : part + 1] for tensor in whole)))


def test_a_perfect_restorer_gives_the_faces_themselves(sets, batches):
    restore = make_restorer("ground_truth", FACE)
    with MetaBatches(task_dataset(*sets[0], SHAPE), restore, SHAPE) as made:
        batch = next(made)
    np.testing.assert_array_equal(batch.labela, batch.labela_gt)
    np.testing.assert_array_equal(batch.inputb, batches[0].inputb)
    assert np.abs(batch.labela - batches[0].labela).max() > 0.1


def test_plain_backgrounds_are_degraded_and_compared_as_they_are(sets, batches):
    shape = dataclasses.replace(SHAPE, sharpened=False)
    with MetaBatches(task_dataset(*sets[0], shape), ENLARGE, shape) as made:
        plain, sharpened = next(made), batches[0]
    np.testing.assert_allclose(plain.labelb, plain.labelb_nousm, atol=1e-6)
    np.testing.assert_array_equal(plain.inputa, sharpened.inputa)
    np.testing.assert_array_equal(plain.labelb_nousm, sharpened.labelb_nousm)
    assert plain.inputb.numpy().std() < sharpened.inputb.std()


def test_faces_and_backgrounds_of_a_task_share_the_strength_of_noise_where_the_shape_says_so():
    faces, backgrounds = (tf.fill([3, side, side, 3], tf.constant(128, tf.uint8)) for side in (FACE, BACKGROUND))

    def ratios(shared):
        shape = dataclasses.replace(SHAPE, shared_noise=shared)
        for index in range(6):
            task = make_task(tf.constant([index, 0]), faces, backgrounds, shape)
            spreads = [np.std(255 * picture) for picture in np.float64(task.inputb)]
            spreads += [np.std(lq) for lq in np.float64(task.lq_faces)]
            yield max(spreads) / min(spreads)

    assert max(ratios(True)) < 1.6
    assert np.median(list(ratios(False))) > 1.6


def test_the_shape_is_read_off_the_config():
    values = dict(vars(config))
    assert Shape.of(SimpleNamespace(**values)) == Shape(4, 4, 128, 256, sharpened=True, shared_noise=False)
    values |= {"OUTER_TARGET": "plain", "SHARED_NOISE": True}
    assert Shape.of(SimpleNamespace(**values)) == Shape(4, 4, 128, 256, sharpened=False, shared_noise=True)


def test_another_seed_gives_other_batches(sets, batches):
    other = take(sets, 1, seed=1)[0]
    assert (other.inputa != batches[0].inputa).any()
    assert (other.labelb_nousm != batches[0].labelb_nousm).any()


def _find(patch, squares):
    """(which square, row, column) a patch was cut from, or None."""
    size = len(patch)
    corners = range(0, squares.shape[1] - size + 1, 4)
    for which, y, x in itertools.product(range(len(squares)), corners, corners):
        if np.array_equal(squares[which, y : y + size, x : x + size], patch):
            return which, y, x
    return None


def _place(patch, squares):
    levels = np.uint8(np.round(patch * 255))
    found = _find(levels, squares)
    return (*found, False) if found else (*_find(levels[:, ::-1], squares), True)


def test_every_patch_of_a_pair_is_cut_at_one_place_and_flipped_together(sets, batches):
    faces, backgrounds = sets[1]
    sharp = sharpen(tf.constant(np.float32(backgrounds / 255).transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    flips, correlations = [], []
    for batch in batches:
        for task, pair in np.ndindex(2, 3):
            one = {name: tensor[task, pair] for name, tensor in batch._asdict().items()}
            which, y, x, flipped = _place(one["labelb_nousm"], backgrounds)
            expected = sharp[which, y : y + 64, x : x + 64]
            np.testing.assert_allclose(one["labelb"], expected[:, ::-1] if flipped else expected, atol=1e-6)
            assert _place(one["labela_gt"], faces)[3] == flipped  # one coin a pair
            flips.append(flipped)
            for lq, hq in (("inputa", "labela_gt"), ("inputb", "labelb_nousm")):
                small = tf.nn.avg_pool2d(one[hq][None], 4, 4, "VALID").numpy()[0]
                correlations.append(np.corrcoef(small.ravel(), one[lq].ravel())[0, 1])
            enlarged = one["labela"].reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))
            np.testing.assert_allclose(enlarged[2:-2, 2:-2], one["inputa"][2:-2, 2:-2], atol=0.15)
    assert np.median(correlations) > 0.6  # of pictures with nothing in common it is about 0
    assert 4 < sum(flips) < 20
    assert any(0 < task.sum() < 3 for task in np.reshape(flips, (-1, 3)))  # a coin for each pair, not for the task


def test_an_epoch_leaves_no_record_out(sets):
    (faces, _), _ = sets
    for seed in (0, 1):
        order = list(shuffled(faces.count, 0, seed).take(3 * faces.count).as_numpy_iterator())
        epochs = np.reshape(order, (3, faces.count))
        np.testing.assert_array_equal(np.sort(epochs, axis=1), [np.arange(faces.count)] * 3)
        assert len({tuple(epoch) for epoch in epochs}) > 1
    assert list(shuffled(1, 5, 0).take(3).as_numpy_iterator()) == [0, 0, 0]


def test_the_order_is_shuffled_over_the_whole_set():
    order = np.array(list(shuffled(5000, 0, 3).take(5000).as_numpy_iterator()))
    assert abs(np.corrcoef(order, np.arange(5000))[0, 1]) < 0.05
    assert np.abs(np.diff(order)).mean() > 1000


def test_orders_of_epochs_and_seeds_have_nothing_in_common():
    """Also far apart: the shuffling cipher takes only the low bits of its key."""
    count = 5000

    def order(epoch, seed):
        places = shuffled(count, epoch * count, seed).take(count)
        return np.fromiter(places.as_numpy_iterator(), np.int64)

    first = order(0, 0)
    for epoch, seed in ((1, 0), (2, 0), (256, 0), (512, 0), (0, 1), (0, 2), (0, 256)):
        other = order(epoch, seed)
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(count), (epoch, seed)
        assert (first == other).sum() < 12


def test_a_task_has_one_set_of_parameters_and_each_picture_its_own_noise(monkeypatch):
    calls = []
    real = meta_batches.degrade

    def degrade(planes, parameters, seed, shared_noise):
        assert shared_noise is None
        calls.append((parameters, seed.numpy().tolist(), real(planes, parameters, seed).numpy()))
        return calls[-1][2]

    monkeypatch.setattr(meta_batches, "degrade", degrade)
    backgrounds = tf.constant(np.repeat(make_squares(1, BACKGROUND, 2), 3, axis=0))
    faces = tf.constant(np.repeat(make_squares(1, FACE, 3), 3, axis=0))
    for index in range(2):
        make_task(tf.constant([index, 0]), faces, backgrounds, Shape(1, 3, FACE, BACKGROUND))
    (first, first_seed, lq), (second, second_seed, _), (other, *_), _ = calls
    assert first is second
    assert first_seed != second_seed
    assert first.first.quality != other.first.quality
    assert (lq[0] != lq[1]).any()


def test_a_patch_without_texture_is_drawn_again_up_to_five_times():
    picture = np.full((4, 80, 80, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    picture[0, 40:, 40:] = noise  # only the corner at (10, 10) has texture enough
    picture[1] = np.tile(noise, (2, 2, 1))
    picture[2, 40:, 40:] = noise
    corners = np.zeros((4, 6, 2), np.int32)
    corners[0, 3] = corners[2, 5] = 10
    corners[1, 0] = corners[3, 5] = 7
    chosen = choose_corners(tf.constant(picture), tf.constant(corners), 40).numpy()
    assert chosen.tolist() == [[10, 10], [7, 7], [10, 10], [7, 7]]  # the fourth has none anywhere: its last is taken


@pytest.mark.parametrize("strength", [6, 7, 8, 9, 10])
def test_the_texture_test_is_the_published_one(strength):
    """On both sides of the threshold."""
    rng = np.random.default_rng(strength)
    picture = np.uint8(128 + rng.normal(0, strength, (1, 40, 40, 3)))
    corners = tf.constant([[[0, 0], [1, 1]]])
    padded = tf.pad(tf.constant(picture), [[0, 0], [0, 4], [0, 4], [0, 0]])
    first = not choose_corners(padded, corners, 40).numpy().any()
    assert first == (log_gradient(picture[0]) >= -6)


def test_positions_reach_the_last_row_and_column():
    corners = meta_batches._draw_corners(tf.constant([1, 2]), (4000,), 100, 64).numpy()
    assert corners.shape == (4000, 2)
    np.testing.assert_array_equal(np.unique(corners), np.arange(10))
    assert not meta_batches._draw_corners(tf.constant([1, 2]), (9,), 64, 64).numpy().any()


def test_sizes_that_do_not_go_together(sets, tmp_path):
    (faces, backgrounds), _ = sets
    for shape, message in (
        (Shape(1, 1, 84, 64), "face patches of 84 pixels: must be a multiple of 4 and at most 80"),
        (Shape(1, 1, 40, 66), "background patches of 66 pixels: must be a multiple of 4"),
    ):
        with pytest.raises(UserError, match=message):
            task_dataset(faces, backgrounds, shape)
    for side in (76, 82):
        path = tmp_path / f"{side}.tfrecord"
        path.write_bytes(encode_records(make_squares(1, side, 0)).tobytes())
        with pytest.raises(UserError, match=f"squares of {side} pixels; they must be a multiple of 4 and at least 80"):
            task_dataset(open_set(str(path)), backgrounds, SHAPE)


def test_the_smallest_squares_survive_the_strongest_shrinking():
    planes = tf.zeros([1, 3, SMALLEST, SMALLEST])
    drawn = draw_parameters(tf.constant([0, 0]))
    first = drawn.first._replace(scale=tf.constant(STAGES[0].resize_range[0], tf.float64))
    second = drawn.second._replace(scale=tf.constant(STAGES[1].resize_range[0], tf.float64), blurred=tf.constant(True))
    lq = degrade(planes, drawn._replace(first=first, second=second), tf.constant([0, 0]))
    assert lq.shape == (1, 3, SMALLEST // 4, SMALLEST // 4)


def test_batches_end_with_the_tasks(sets):
    with MetaBatches(task_dataset(*sets[0], SHAPE).take(2), ENLARGE, SHAPE) as batches:
        assert len(list(batches)) == 2
        assert list(batches) == []


def test_damaged_training_data_is_one_line(tmp_path, sets):
    (faces, _), (_, squares) = sets
    content = bytearray(encode_records(squares).tobytes())
    content[-1000] ^= 1
    (tmp_path / "damaged.tfrecord").write_bytes(content)
    tasks = task_dataset(faces, open_set(str(tmp_path / "damaged.tfrecord")), SHAPE)
    with MetaBatches(tasks, ENLARGE, SHAPE) as batches:
        for _ in range(2):  # asked again, it says so again
            with pytest.raises(UserError, match="the training data cannot be read: .*--verify"):
                list(itertools.islice(batches, 4))
    assert list(batches) == []


def test_an_error_of_the_restorer_reaches_the_reader(sets):
    def fail(_):
        raise ValueError("of the restorer")

    batches = MetaBatches(task_dataset(*sets[0], SHAPE), fail, SHAPE)
    with batches, pytest.raises(ValueError, match="of the restorer"):
        next(batches)
