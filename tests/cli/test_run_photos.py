"""The loop over a folder of photos: what ends it, what does not, and what is said of it."""

from pathlib import Path

import pytest
from PIL import Image

from metaf2n_tf.commands.runs import photos
from metaf2n_tf.errors import CannotWriteError, UserError

NAMES = [Path("a.png"), Path("b.png"), Path("c.png")]


def test_a_bad_photo_is_left_out_and_a_full_disk_ends_the_run(capsys):
    tried = []

    def process(error):
        def fail(photo):
            tried.append(photo)
            if photo == NAMES[1]:
                raise error
            return {}

        return fail

    assert photos.process_all(NAMES, process(UserError("b.png: no picture"))) == 1
    assert "skipped: b.png: no picture" in capsys.readouterr().err
    assert tried == NAMES
    tried.clear()
    with pytest.raises(CannotWriteError, match="No space left"):
        photos.process_all(NAMES, process(CannotWriteError("out/b.png: No space left on device")))
    assert tried == NAMES[:2]
    assert "skipped" not in capsys.readouterr().err


def test_a_name_breaks_no_line(capsys):
    name = Path("a\n\x1b[31mb\udcff.png")

    def process(photo):
        raise UserError(f"{photo}: no picture")

    photos.process_all([name], process)
    assert "skipped: a\\n\\x1b[31mb\\udcff.png: no picture\n" in capsys.readouterr().err


def test_photos_without_a_face_may_lie_on_a_side(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.new("RGB", (6, 4)).save(tmp_path / "says.jpg", exif=exif)
    Image.new("RGB", (6, 4)).save(tmp_path / "silent.jpg")
    photos.say_turned([tmp_path / "says.jpg"])
    assert capsys.readouterr().err == ""
    photos.say_turned([tmp_path / "says.jpg", tmp_path / "silent.jpg"])
    assert "the EXIF of 1 of them does not say which way is up" in capsys.readouterr().err
