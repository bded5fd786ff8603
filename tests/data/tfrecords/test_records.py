"""The bytes of records, and reading them back in any order."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from metaf2n_tf.data.tfrecords import verify
from metaf2n_tf.data.tfrecords.encode import encode_example, encode_records
from metaf2n_tf.data.tfrecords.records import NOT_OF_THE_SET, find_shards, open_set
from metaf2n_tf.data.tfrecords.shards import shard_paths, split_name
from metaf2n_tf.errors import UserError


def make_crops(count, side=16):
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


def write(path, crops):
    path.write_bytes(encode_records(crops).tobytes() if len(crops) else b"")


def test_an_example_is_the_published_one(golden):
    arrays, _ = golden("patches")
    assert encode_example(arrays["small_patch"][:8, :8]) == arrays["example_8x8_serialized"].tobytes()


@pytest.mark.parametrize("side", [1, 6, 7, 75, 105, 400])
def test_records_are_those_of_tensorflows_writer(tmp_path, side):
    crops = make_crops(3, side)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for crop in crops:
            value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[crop.tobytes()]))
            example = tf.train.Example(features=tf.train.Features(feature={"label": value}))
            assert encode_example(crop) == example.SerializeToString()
            writer.write(example.SerializeToString())
    assert encode_records(crops).tobytes() == (tmp_path / "theirs").read_bytes()


def test_shards_have_the_usual_names():
    assert shard_paths("d/back400.tfrecord", 1) == ["d/back400.tfrecord"]
    assert shard_paths("d/back400.tfrecord", 2) == [
        "d/back400-00000-of-00002.tfrecord",
        "d/back400-00001-of-00002.tfrecord",
    ]
    assert split_name("a.b/set") == ("a.b/set", "")
    assert split_name("set.x") == ("set", ".x")


@pytest.fixture
def sharded(tmp_path):
    """A set in three files, one of them empty."""
    crops = make_crops(7)
    path = tmp_path / "set.tfrecord"
    for shard, part in zip(shard_paths(str(path), 3), (crops[:4], crops[:0], crops[4:]), strict=True):
        write(tmp_path / shard, part)
    return path, crops


def test_records_are_read_in_any_order_across_shards(sharded):
    path, crops = sharded
    opened = open_set(str(path))
    assert (opened.count, opened.counts, opened.side) == (7, (4, 0, 3), 16)
    order = [6, 0, 3, 4, 4, 5, 1, 2, 6]
    for parallel_calls in (1, 3):
        read = opened.read(tf.data.Dataset.from_tensor_slices(np.int64(order)), parallel_calls)
        np.testing.assert_array_equal(list(read.as_numpy_iterator()), crops[order])


def test_one_file_of_tensorflows_writer_is_read(tmp_path):
    crops = make_crops(5)
    with tf.io.TFRecordWriter(str(tmp_path / "published.tfrecord")) as writer:
        for crop in crops:
            writer.write(encode_example(crop))
    opened = open_set(str(tmp_path / "published.tfrecord"))
    np.testing.assert_array_equal(list(opened.read(tf.data.Dataset.range(5)).as_numpy_iterator()), crops)


def test_a_damaged_record_is_noticed_when_it_is_read(sharded):
    path, crops = sharded
    shard = Path(find_shards(str(path))[2])
    content = bytearray(shard.read_bytes())
    content[-100] ^= 1
    shard.write_bytes(content)
    opened = open_set(str(path))
    good = opened.read(tf.data.Dataset.range(6)).as_numpy_iterator()
    np.testing.assert_array_equal(list(good), crops[:6])
    with pytest.raises(tf.errors.DataLossError):
        list(opened.read(tf.data.Dataset.range(6, 7)))


def test_sets_that_cannot_be_used(sharded, tmp_path):
    path, crops = sharded
    with pytest.raises(UserError, match="other.tfrecord: no such TFRecord set. Remedy: make it with"):
        open_set(str(tmp_path / "other.tfrecord"))
    write(tmp_path / "cut.tfrecord", crops)
    whole = (tmp_path / "cut.tfrecord").read_bytes()
    for kept in (1, 7, 100, len(whole) - 1):
        (tmp_path / "cut.tfrecord").write_bytes(whole[:kept])
        with pytest.raises(UserError, match="cut off"):
            open_set(str(tmp_path / "cut.tfrecord"))
    (tmp_path / "text.tfrecord").write_text("these are no records at all\n" * 20)
    with pytest.raises(UserError, match="text.tfrecord: not a TFRecord file"):
        open_set(str(tmp_path / "text.tfrecord"))
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    with pytest.raises(UserError, match="holds no records"):
        open_set(str(tmp_path / "empty.tfrecord"))
    for name, content in (("other_feature", {"image": crops[0].tobytes()}), ("oblong", {"label": bytes(16 * 8 * 3)})):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            feature = {
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in content.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
        with pytest.raises(UserError, match="no bytes feature 'label'|384 bytes, which is no RGB square"):
            open_set(str(tmp_path / name))
    (tmp_path / "set-00001-of-00003.tfrecord").unlink()
    with pytest.raises(UserError, match="set-00001-of-00003.tfrecord is missing"):
        open_set(str(path))
    write(tmp_path / "set-00000-of-00001.tfrecord", crops)
    with pytest.raises(UserError, match="shards of more than one set"):
        open_set(str(path))
    (tmp_path / "set.tfrecord").unlink(missing_ok=True)
    for name in ("odd-00003-of-00002.tfrecord", "none-00000-of-00000.tfrecord"):
        write(tmp_path / name, crops)
        with pytest.raises(UserError, match="is missing|shards of more than one set"):
            open_set(str(tmp_path / f"{name[: name.index('-')]}.tfrecord"))
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UserError, match=f"{place}: not a file"):
            open_set(str(place))


@pytest.mark.parametrize("content", [b"\xff\xfe\x80" * 80, b"", encode_example(np.zeros((0, 0, 3), np.uint8))])
def test_records_that_hold_no_square_are_one_line(tmp_path, content):
    """Their checksums are right; TensorFlow's message about the first quotes bytes that are no text."""
    path = tmp_path / "set.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(content)
    with pytest.raises(UserError, match="no bytes feature 'label'|0 bytes, which is no RGB square"):
        open_set(str(path))


def test_a_later_record_that_is_none_is_counted_and_read_as_damage(tmp_path):
    path, good = tmp_path / "set.tfrecord", encode_example(np.zeros((8, 8, 3), np.uint8))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in (good, b"\xff" * len(good)):
            writer.write(content)
    with pytest.raises(UserError, match="after 1 good record there is one that is no square of 8 pixels"):
        verify.check_set(path)
    with pytest.raises(NOT_OF_THE_SET):
        list(open_set(str(path)).read(tf.data.Dataset.range(2)))
