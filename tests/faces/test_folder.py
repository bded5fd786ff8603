from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder


def picture(level, size):
    return np.full((size, size, 3), level, np.uint8)


def write(face_dir, photo, levels, **others):
    """Face pairs whose grey levels tell them apart."""
    pictures = {folder.HQ: {i: picture(v, 20) for i, v in levels.items()}}
    pictures[folder.LQ] = {i: picture(v, 5) for i, v in levels.items()}
    folder.write_pictures(face_dir, Path(photo), pictures | others)


def levels(face_dir, photo):
    return [int(lq[0, 0, 0]) for lq, _ in folder.read_pairs(face_dir, Path(photo))]


def test_names_are_exact_and_in_order(tmp_path):
    written = {}
    for name, index, level in (("IMG", 10, 10), ("IMG", 2, 2), ("IMG2", 0, 50), ("IMG_2", 7, 70), ("a.b", 0, 90)):
        written.setdefault(name, {})[index] = level
    for name, faces in written.items():
        write(tmp_path, f"{name}.jpeg", faces)
    assert levels(tmp_path, "IMG.jpeg") == [2, 10]
    assert levels(tmp_path, "IMG_2.png") == [70]
    assert levels(tmp_path, "a.b.png") == [90]
    assert levels(tmp_path, "IM.png") == []


def test_subfolders_are_mirrored(tmp_path):
    write(tmp_path, "trip/day1/IMG.png", {0: 3})
    assert (tmp_path / "Face_LQ" / "trip" / "day1" / "IMG_0.png").is_file()
    assert levels(tmp_path, "trip/day1/IMG.png") == [3]
    assert levels(tmp_path, "IMG.png") == []


def test_a_missing_partner_and_a_wrong_size_are_named(tmp_path):
    write(tmp_path, "a.png", {0: 1})
    (tmp_path / "Face_HQ" / "a_0.png").unlink()
    with pytest.raises(UserError, match=r"Face_LQ/a_0.png: its partner in Face_HQ is missing"):
        folder.read_pairs(tmp_path, Path("a.png"))
    images.write_rgb8(tmp_path / "Face_HQ" / "a_0.png", picture(1, 24))
    with pytest.raises(UserError, match=r"Face_HQ/a_0.png: 24x24 is not x4 of its LQ face"):
        folder.read_pairs(tmp_path, Path("a.png"))


def test_faces_may_be_of_any_kind_of_picture(tmp_path):
    write(tmp_path, "a.png", {0: 40, 1: 80})
    for side in (folder.LQ, folder.HQ):
        place = tmp_path / side
        (place / "a_0.png").rename(place / "a_0.PNG")
        Image.open(place / "a_1.png").save(place / "a_1.jpg")
        (place / "a_1.png").unlink()
        (place / "a_2.txt").touch()
    assert levels(tmp_path, "a.png") == [40, 80]
    assert [file.name for file in folder.face_files(tmp_path, Path("a.png"))] == ["a_0.PNG", "a_1.jpg"] * 2
    images.write_rgb8(tmp_path / "Face_LQ" / "a_01.png", picture(9, 5))
    with pytest.raises(UserError, match=r"a_01.png and a_1.jpg are both face 1|a_1.jpg and a_01.png are both face 1"):
        folder.read_pairs(tmp_path, Path("a.png"))
    write(tmp_path, "a.png", {1: 3})
    assert sorted(file.name for file in folder.face_files(tmp_path, Path("a.png"))) == ["a_1.png"] * 2


def test_faces_of_an_earlier_run_are_removed(tmp_path):
    photo, other = Path("a.png"), Path("a_1.png")
    write(tmp_path, photo, {0: 1, 3: 4})
    write(tmp_path, other, {0: 9})
    write(tmp_path, photo, {1: 2})
    assert levels(tmp_path, "a.png") == [2]
    assert levels(tmp_path, "a_1.png") == [9]
    write(tmp_path, photo, {})
    assert levels(tmp_path, "a.png") == []


def test_what_a_killed_writer_leaves_does_not_count(tmp_path):
    write(tmp_path, "a.png", {0: 1, 1: 2})
    (tmp_path / "Face_LQ" / "a_1.png").unlink()
    assert levels(tmp_path, "a.png") == [1]


def test_a_writer_killed_between_two_files_leaves_no_false_pair(tmp_path, monkeypatch):
    """New HQ faces must never stand beside the LQ faces of an earlier run."""
    for killed_after in range(5):
        write(tmp_path, "a.png", {0: 1, 1: 2})
        written = []

        def killed(path, rgb, written=written, killed_after=killed_after, whole=images.write_rgb8):
            if len(written) == killed_after:
                raise KeyboardInterrupt
            written.append(path)
            whole(path, rgb)

        with monkeypatch.context() as patch:
            patch.setattr(images, "write_rgb8", killed)
            try:
                write(tmp_path, "a.png", {0: 11, 1: 12})
            except KeyboardInterrupt:
                assert killed_after < 4
        for lq, hq in folder.read_pairs(tmp_path, Path("a.png")):
            assert lq[0, 0, 0] == hq[0, 0, 0]


def test_pictures_to_look_at_are_kept_until_made_anew(tmp_path):
    looks = {folder.ALIGNED_LQ: {0: picture(1, 8)}, folder.ALIGNED_HQ: {0: picture(2, 8)}}
    write(tmp_path, "trip/a.png", {0: 1}, **looks, **{folder.PREVIEW: {None: picture(3, 9)}})
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")}
    pair = {"Face_LQ/trip/a_0.png", "Face_HQ/trip/a_0.png"}
    assert written == pair | {"Aligned_LQ/trip/a_0.png", "Aligned_HQ/trip/a_0.png", "Preview/trip/a.png"}
    looks[folder.ALIGNED_LQ] = looks[folder.ALIGNED_HQ] = {3: picture(1, 8)}
    write(tmp_path, "trip/a.png", {3: 1}, **looks)
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")}
    assert written == {f"{side}/trip/a_3.png" for side in folder.SIDES[:4]} | {"Preview/trip/a.png"}
