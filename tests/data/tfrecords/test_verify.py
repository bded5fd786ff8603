"""Sets are read back whole; any damage is found and named."""

import gzip
import json
import zlib

import numpy as np
import pytest
import tensorflow as tf
from training_sets import CROPPING, make, write_pictures

from metaf2n_tf.commands.cli import OK
from metaf2n_tf.commands.runs.verify import run
from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords import verify
from metaf2n_tf.errors import UserError


@pytest.fixture
def made(tmp_path):
    folder = write_pictures(tmp_path / "pictures", [(48, 64), (40, 40), (32, 90), (64, 32)])
    return make(tmp_path, folder, num_shards=2)[1]


def test_a_good_set_is_counted_and_shown(made, capsys):
    assert run([str(made)]) == OK
    printed = capsys.readouterr().err
    opened, comparison = verify.check_set(made)
    assert f"{opened.count} squares of 32x32 pixels in 2 file(s), every CRC right, as its .json says" in printed
    assert comparison == "as its .json says"
    sheet = images.read_rgb8(made.with_suffix(".png"))
    thumbnail = sheet[1:129, 1:129]
    assert np.ptp(thumbnail) > 50
    assert (sheet[0] == 255).all()


def test_a_published_set_needs_no_json(made):
    made.with_suffix(".json").unlink()
    assert verify.check_set(made)[1] == "no .json beside it"


@pytest.mark.parametrize(("where", "good"), [(0, 1), (8, 1), (12, 1), (40, 1), (-1, 0)])
def test_every_damaged_byte_is_found(made, where, good):
    shard = made.with_name("set-00001-of-00002.tfrecord")
    content = bytearray(shard.read_bytes())
    record = len(content) // json.loads(made.with_suffix(".json").read_text())["shards"][1]["records"]
    content[record + where] ^= 1  # of the second record, or the last byte of the first
    shard.write_bytes(content)
    with pytest.raises(UserError, match=f"set-00001-of-00002.tfrecord: damaged after {good} good"):
        verify.check_set(made)


def test_a_set_that_is_not_what_its_json_says(made):
    described = json.loads(made.with_suffix(".json").read_text())

    def say(**changes):
        made.with_suffix(".json").write_text(json.dumps(described | changes))

    first, second = described["shards"]
    say(shards=[first])
    with pytest.raises(UserError, match="1 of 2 files are finished. Remedy: run the command that makes it again"):
        verify.check_set(made)
    say(shards=[first, second | {"records": second["records"] + 1}])
    with pytest.raises(UserError, match="its .json says"):
        verify.check_set(made)
    say(shards=[first, second | {"sha256": "0" * 64}])
    with pytest.raises(UserError, match="its sha256 is not the one of its .json"):
        verify.check_set(made)


def test_a_missing_file_and_compressed_ones_are_named(made):
    shards = [made.with_name(f"set-0000{index}-of-00002.tfrecord") for index in range(2)]
    whole = [shard.read_bytes() for shard in shards]
    shards[1].unlink()
    with pytest.raises(UserError, match="set-00001-of-00002.tfrecord is missing"):
        verify.check_set(made)
    for shard in shards:
        shard.unlink(missing_ok=True)
    made.write_bytes(b"".join(whole))  # all records, but not in the files that the .json names
    with pytest.raises(UserError, match="set-00000-of-00002.tfrecord: is not there, but its .json names it"):
        verify.check_set(made)
    made.with_suffix(".json").unlink()
    for name, compress in (("gzip", gzip.compress), ("zlib", zlib.compress)):
        made.write_bytes(compress(b"".join(whole)))
        with pytest.raises(UserError, match=f"set.tfrecord: compressed with {name}"):
            verify.check_set(made)
    with tf.io.TFRecordWriter(str(made), tf.io.TFRecordOptions("GZIP")) as writer:
        writer.write(whole[0])
    with pytest.raises(UserError, match="set.tfrecord: compressed with gzip"):
        verify.check_set(made)


def test_the_sheet_shows_the_crops_themselves(made):
    opened, _ = verify.check_set(made)
    assert opened.side == CROPPING.size
    sheet = verify.contact_sheet(opened)
    assert sheet.shape[1] % 130 == 0
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100
