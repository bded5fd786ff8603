import shutil

import numpy as np
import pytest
import tensorflow as tf
from tiny_faces import make_set, write_pictures

from metaf2n_tf.commands.runs.tfrecord import Options, Request, run
from metaf2n_tf.data.images import read_rgb8
from metaf2n_tf.data.tfrecords import encode
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.data.tfrecords.records import open_set
from metaf2n_tf.distillation import faces
from metaf2n_tf.errors import UserError


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    return folder, make_set(folder)


def stacked(batches):
    return np.concatenate([batch.numpy() for batch in batches])


def pictures(folder):
    return np.stack([read_rgb8(path) for path in sorted(folder.iterdir())])


def test_round_trip(packed):
    folder, path = packed
    opened = faces.open_faces("data", path, parsing=True)
    found = list(faces.batches(opened, 2, 8, faces.in_order(5), parsing=True))
    assert [len(batch) for batch in found] == [2, 2, 1]
    found = stacked(found)
    hq = pictures(folder / "HR")
    np.testing.assert_array_equal(found[..., 3:6], hq)
    np.testing.assert_array_equal(found[..., 6:], pictures(folder / "parsing"))
    np.testing.assert_array_equal(found[..., :3], [faces.make_lq(face, 8) for face in hq])
    alone = stacked(faces.batches(opened, 2, 8, faces.in_order(5), parsing=False))
    np.testing.assert_array_equal(alone, found[..., :6])


def test_other_readers_take_such_a_set(packed):
    """The faces of it train the SR network as well: `label` is the published feature."""
    folder, path = packed
    opened = open_set(path)
    found = list(opened.read(tf.data.Dataset.range(opened.count)).as_numpy_iterator())
    np.testing.assert_array_equal(found, pictures(folder / "HR"))
    example = tf.train.Example.FromString(next(tf.data.TFRecordDataset(path).as_numpy_iterator()))
    assert set(example.features.feature) == {"label", "parsing"}
    first = np.dstack([pictures(folder / "HR")[0], pictures(folder / "parsing")[0]])
    assert tf.train.Example.FromString(encode.encode_example(first)) == example


@pytest.mark.parametrize("scale", [4, 8, 16])
def test_lq_faces_keep_what_is_smooth_and_lose_what_is_fine(scale):
    ramp = np.dstack([np.tile(np.arange(0, 192, 2, dtype=np.uint8), (96, 1))] * 3)
    lq = faces.make_lq(ramp, scale)
    assert lq.shape == ramp.shape
    inside = slice(2 * scale, -2 * scale)
    np.testing.assert_allclose(np.int16(lq[:, inside]), ramp[:, inside], atol=1)
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 200
    np.testing.assert_allclose(faces.make_lq(stripes, scale)[:, inside], 100, atol=1)


def test_the_order_is_the_seeds_and_the_epochs():
    first = faces.epoch_order(100, 3, 7, augment=True)
    np.testing.assert_equal(faces.epoch_order(100, 3, 7, augment=True), first)
    assert sorted(first[0]) == list(range(100))
    assert 20 < first[1].sum() < 80
    assert all(10 < np.sum(first[2] == turn) < 45 for turn in range(4))
    for seed, epoch in ((3, 8), (4, 7)):
        assert not np.array_equal(faces.epoch_order(100, seed, epoch, augment=True)[0], first[0])
    plain = faces.epoch_order(100, 3, 7, augment=False)
    np.testing.assert_array_equal(plain[0], first[0])
    assert not plain[1].any()
    assert not plain[2].any()


def test_flips_and_turns_go_through_all_three(packed):
    """Published: mirrored first, then `np.rot90`; and the LQ face is that of the face as it was."""
    opened = faces.open_faces("data", packed[1], parsing=True)
    still = stacked(faces.batches(opened, 5, 8, faces.in_order(5), parsing=True))
    order = np.array([4, 0, 1, 2, 3]), np.array([False, True, True, False, True]), np.array([0, 0, 1, 2, 3])
    found = stacked(faces.batches(opened, 5, 8, order, parsing=True))
    for position, flip, turn, picture in zip(*order, found, strict=True):
        expected = still[position][:, ::-1] if flip else still[position]
        np.testing.assert_array_equal(picture, np.rot90(expected, turn))
    rest = stacked(faces.batches(opened, 5, 8, order, parsing=True, start=3))
    np.testing.assert_array_equal(rest, found[3:])


def test_sets_that_cannot_be_used(packed, tmp_path):
    with pytest.raises(UserError, match="data .*no such TFRecord set"):
        faces.open_faces("data", str(tmp_path / "whole_face.tfrecord"), parsing=True)
    without = make_set(tmp_path / "without", parsing=False)
    faces.open_faces("data", without, parsing=False)
    with pytest.raises(UserError, match="val=.* hold no parsing maps. Remedy: .*--parsing_dir"):
        faces.open_faces("val", without, parsing=True)
    with pytest.raises(UserError, match="24 pixels a side, expected a multiple of 16"):
        faces.open_faces("data", make_set(tmp_path / "odd", side=24), parsing=True)
    with pytest.raises(UserError, match="of at least 48"):
        faces.open_faces("val", packed[1], parsing=True, least=48)


def test_damaged_records_are_named(packed, tmp_path):
    path = tmp_path / "whole_face.tfrecord"
    shutil.copy(packed[1], path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 255
    path.write_bytes(content)
    opened = faces.open_faces("data", str(path), parsing=True)
    with pytest.raises(UserError, match="whole_face.tfrecord: a record of this set is damaged"):
        list(faces.batches(opened, 2, 8, faces.in_order(5), parsing=True))


def pack(tmp_path, faces_dir, maps, **options):
    request = Request(tmp_path / "set.tfrecord", [str(faces_dir)], Cropping(32, parsing_dir=str(maps)))
    return run([request], Options(**options))


def test_faces_without_a_parsing_map_are_reported(tmp_path, capsys):
    hq = write_pictures(tmp_path / "HR", 3, 32, 0)
    maps = write_pictures(tmp_path / "maps", 3, 32, 1)
    (maps / "01.png").unlink()
    assert pack(tmp_path, hq, maps) == 1
    assert "01.png: no parsing map" in capsys.readouterr().err
    assert open_set(str(tmp_path / "set.tfrecord")).count == 2


def test_parsing_maps_are_part_of_what_a_set_is_made_of(tmp_path):
    hq = write_pictures(tmp_path / "HR", 2, 32, 0)
    maps = write_pictures(tmp_path / "maps", 2, 64, 1)
    assert pack(tmp_path, hq, maps) == 0
    assert pack(tmp_path, hq, maps) == 0  # nothing to do
    write_pictures(maps, 2, 32, 2)
    with pytest.raises(UserError, match="made of other pictures"):
        pack(tmp_path, hq, maps)
    assert pack(tmp_path, hq, maps, overwrite=True) == 0


def test_parsing_dir_mistakes(tmp_path):
    hq = write_pictures(tmp_path / "HR", 2, 32, 0)
    with pytest.raises(UserError, match="--parsing_dir .*nowhere: no such folder"):
        pack(tmp_path, hq, tmp_path / "nowhere")
    write_pictures(hq / "more", 2, 32, 1)
    with pytest.raises(UserError, match="would share a parsing map"):
        pack(tmp_path, hq, write_pictures(tmp_path / "maps", 2, 32, 1))


def test_colours_of_parsing_maps_are_not_mixed(tmp_path):
    hq = write_pictures(tmp_path / "HR", 1, 32, 0)
    maps = write_pictures(tmp_path / "maps", 1, 80, 1)
    colours = {tuple(colour) for colour in read_rgb8(maps / "00.png").reshape(-1, 3)}
    assert pack(tmp_path, hq, maps) == 0
    opened = faces.open_faces("data", str(tmp_path / "set.tfrecord"), parsing=True)
    (batch,) = faces.batches(opened, 1, 8, faces.in_order(1), parsing=True)
    assert {tuple(colour) for colour in batch.numpy()[0, ..., 6:].reshape(-1, 3)} <= colours
