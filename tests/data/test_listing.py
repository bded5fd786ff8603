"""Which photos a folder holds: links, names that clash, files that are none."""

import os
from pathlib import Path

import pytest
from PIL import Image

from metaf2n_tf.data import files, listing
from metaf2n_tf.data.tfrecords import sources
from metaf2n_tf.errors import UserError


def names(folder, *options):
    return [str(file.relative_to(folder)) for file in listing.list_files(folder, *options)]


def photos(folder, results=None, **options):
    _, found = listing.list_photos(folder, [], options.get("recursive", False), results or folder / "out")
    return [str(file.relative_to(folder)) for file in found]


def save(*paths, kind="PNG"):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), "red").save(path, kind)


def test_files_of_a_folder(tmp_path):
    for name in ("b.png", "a.JPG", ".hidden.png", "sub/c.png", "sub/results/d.png", "notes.txt", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "desktop.ini").touch()
    assert names(tmp_path) == ["a.JPG", "b.png", "notes.txt"]
    left_out = [tmp_path / "sub" / ".." / "sub" / "results"]
    assert names(tmp_path, ["png", ".jpg"], True, left_out) == ["a.JPG", "b.png", "sub/c.png"]
    with pytest.raises(UserError, match="no photos"):
        names(tmp_path, ["webp"])
    with pytest.raises(UserError, match="gt_dir=.*nowhere: no such folder"):
        listing.list_files(tmp_path / "nowhere", argument="gt_dir")


def test_one_photo_is_a_folder_of_one(tmp_path):
    save(tmp_path / "a.png", tmp_path / "a.jpg")
    assert listing.list_photos(tmp_path / "a.png", ["webp"], False, tmp_path) == (tmp_path, [tmp_path / "a.png"])


def test_links_lose_no_photo_and_circles_end(tmp_path):
    """Each folder is entered once, by its own name where it has one; what leads nowhere is there to be named."""
    root = tmp_path / "in"
    save(root / "b" / "x.png", tmp_path / "elsewhere" / "y.png", tmp_path / "elsewhere" / "deep" / "z.png")
    (root / "a").symlink_to("b")
    (root / "b" / "up").symlink_to("..")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "d").symlink_to(tmp_path / "elsewhere")
    (root / "gone.png").symlink_to("nowhere.png")
    (root / "self.png").symlink_to("self.png")
    expected = ["b/x.png", "c/deep/z.png", "c/y.png", "gone.png", "self.png"]
    assert photos(root, recursive=True) == expected
    assert photos(root) == ["gone.png", "self.png"]
    made = sources.list_pictures([str(root)])
    assert [os.path.relpath(path, root) for path in made] == expected
    assert sources.digest(made) != sources.digest(made[:-1])
    assert sources.list_pictures([str(root / "g*.png")]) == [str(root / "gone.png")]


def test_a_folder_that_cannot_be_entered_is_named(tmp_path, monkeypatch):
    save(tmp_path / "a.png", tmp_path / "closed" / "b.png")
    entered = os.listdir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError
        return entered(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert names(tmp_path, ["png"], True) == ["a.png", "closed"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("photo.jpg", "photo.jpg~"),
        ("tw.jpg_large", "tw.jpg_small"),
        ("noext", "noext.png"),
        ("sub/a.png", "sub/a.webp"),
    ],
)
def test_two_photos_with_one_result_are_refused(tmp_path, first, second):
    save(tmp_path / first, tmp_path / second)
    first, second = sorted((first, second))
    with pytest.raises(UserError, match=f"{first} and {Path(second).name} would give results of one name"):
        photos(tmp_path, recursive=True)


def test_sidecars_are_no_twins(tmp_path):
    save(tmp_path / "b.png")
    (tmp_path / "b.xmp").touch()
    (tmp_path / "b.json").write_text("{}")
    os.mkfifo(tmp_path / "b")  # opening it would wait for ever
    assert photos(tmp_path) == ["b", "b.json", "b.png", "b.xmp"]


def test_names_that_differ_in_case_or_unicode_form_alone(tmp_path, monkeypatch):
    save(tmp_path / "a.png", tmp_path / "A.jpg", tmp_path / "e\u0301.png", tmp_path / "\u00c9.jpg")
    asked = []
    assert len(photos(tmp_path)) == 4
    monkeypatch.setattr(files, "are_one", lambda *names: asked.append(names) or True)
    with pytest.raises(UserError, match="A.jpg and a.png, .*e\u0301.png and \u00c9.jpg would give results of one name"):
        photos(tmp_path, tmp_path / "results" / "new")
    names = [(Path("A"), Path("a")), (Path("e\u0301"), Path("\u00c9"))]
    assert asked == [(tmp_path / "results" / "new", *pair) for pair in names]
    assert not (tmp_path / "results").exists()


def test_the_probe_for_names_leaves_nothing(tmp_path):
    place = tmp_path / "not" / "there"
    assert not files.are_one(place, Path("Sub/a"), Path("sub/A"))
    assert files.are_one(place, Path("Sub/a"), Path("Sub/./a"))
    assert list(tmp_path.iterdir()) == []


def test_a_glob_with_brackets_in_a_folder_gets_a_hint(tmp_path):
    save(tmp_path / "set[1]" / "a.png")
    with pytest.raises(UserError, match=r"no pictures there. Remedy: .*set\[\[\]1\]/\*.png"):
        sources.list_pictures([str(tmp_path / "set[1]" / "*.png")])
    with pytest.raises(UserError, match=r"no pictures there$"):
        sources.list_pictures([str(tmp_path / "*.webp")])
