"""Sets are read back whole; any damage is found and named."""

import json

import numpy as np
import pytest
from training_sets import CUTTING, make, write_pictures

from metaf2n_tf.cli import OK
from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords import verify
from metaf2n_tf.errors import UserError


@pytest.fixture
def made(tmp_path):
    folder = write_pictures(tmp_path / "pictures", [(48, 64), (40, 40), (32, 90), (64, 32)])
    return make(tmp_path, folder, num_shards=2)[1]


def test_a_good_set_is_counted_and_shown(made, capsys):
    assert verify.run([str(made)]) == OK
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


@pytest.mark.parametrize("where", [0, 8, 12, 40, -1])
def test_every_damaged_byte_is_found(made, where):
    shard = made.with_name("set-00001-of-00002.tfrecord")
    content = bytearray(shard.read_bytes())
    record = len(content) // json.loads(made.with_suffix(".json").read_text())["shards"][1]["records"]
    content[record + where] ^= 1  # of the second record, or the last byte of the first
    shard.write_bytes(content)
    with pytest.raises(UserError, match="set-00001-of-00002.tfrecord: damaged after"):
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


def test_the_sheet_shows_the_squares_themselves(made):
    opened, _ = verify.check_set(made)
    assert opened.side == CUTTING.size
    sheet = verify.contact_sheet(opened)
    assert sheet.shape[1] % 130 == 0
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100
