"""Exemplars of persons, and whose a face is."""

import contextlib
from pathlib import Path

import cv2
import exemplar_samples as samples
import numpy as np
import pytest
from phase import displacement

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.exemplars.landmarks import write_landmarks
from metaf2n_tf.faces.exemplars.persons import ExemplarReader, Library, read_map
from metaf2n_tf.faces.restored import Source


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def never(_):
    raise AssertionError("this photo was not to be looked at")


def person_of(library, photo, index=0, faces=1):
    """None where nothing says whose it is."""
    with contextlib.suppress(UserError):
        return library.person_of(Source(Path(photo), faces), index)


def test_a_folder_names_its_person(tmp_path):
    library = Library(fill(tmp_path, "ann/1.png", "ann/1.png.txt", "bob/1.png", "bob/.hidden", "Thumbs.db"))
    assert library.persons == ["ann", "bob"]
    assert not library.flat
    for photo, person in {
        "ann.jpg": "ann",
        "bob/day.png": "bob",
        "bob/trip/day.png": "bob",
        "bob/bob.png": "bob",
        "ann/bob.png": None,  # which of the two?
        "carl.jpg": None,
        "Ann.jpg": None,
    }.items():
        assert person_of(library, photo) == person
        assert person_of(library, photo, faces=2) is None


def test_a_face_that_is_left_out_is_told_why(tmp_path):
    fill(tmp_path / "x", "ann/1.png", "bob/1.png")
    (tmp_path / "map.txt").write_text("a.png\t0\tbob\n")
    for map_file, photo, faces, why in (
        (None, "ann.png", 2, "one of 2 faces, and nothing says whose. Remedy: exemplar_map"),
        (None, "carl.png", 1, "its name is that of no person. Remedy: exemplar_map"),
        (None, "ann/bob.png", 1, "its name is that of bob and of ann. Remedy: exemplar_map"),
        (tmp_path / "map.txt", "a.png", 1, "not in .*map.txt"),
    ):
        with pytest.raises(UserError, match=why):
            Library(tmp_path / "x", map_file).person_of(Source(Path(photo), faces), 1)


def test_a_flat_folder_is_one_person(tmp_path):
    library = Library(fill(tmp_path / "ann", "1.png", "2.png"))
    assert library.persons == ["ann"]
    assert person_of(library, "any.png", 3) == "ann"
    assert person_of(library, "any.png", 3, faces=2) is None
    only = Library(tmp_path)  # a folder for each of one person
    assert (person_of(only, "any.png"), person_of(only, "ann.png")) == (None, "ann")


def test_a_map_decides_and_nothing_else(tmp_path):
    fill(tmp_path / "x", "ann/1.png", "bob/1.png")
    (tmp_path / "map.txt").write_bytes(b"\xef\xbb\xbfgroup.png\t0\tbob\r\n\r\n./trip/a.png\t2\tann\r\n")
    library = Library(tmp_path / "x", tmp_path / "map.txt")
    assert person_of(library, "group.png", 0, faces=5) == "bob"
    assert person_of(library, "group.png", 1, faces=5) is None
    assert person_of(library, "trip/a.png", 2) == "ann"
    assert person_of(library, "ann.png") is None
    (tmp_path / "map.txt").write_text("group.png\t0\tcarl\n")
    with pytest.raises(UserError, match=r"map.txt: carl \(face 0 of group.png\) is no folder of .*which has ann, bob"):
        Library(tmp_path / "x", tmp_path / "map.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0 ann\n", "line 1 is not 'PHOTO<TAB>INDEX"),
        ("a.png\t0\tann\na.png\t-1\tann\n", "line 2 is not"),
        ("a.png\t0\tann\na.png\t0\tbob\n", "line 2 names another person for face 0 of a.png"),
    ],
)
def test_bad_maps_are_refused(tmp_path, text, message):
    (tmp_path / "map.txt").write_text(text)
    with pytest.raises(UserError, match=rf"exemplar_map=.*map.txt: {message}"):
        read_map(tmp_path / "map.txt")
    with pytest.raises(UserError, match=r"exemplar_map=.*none.txt: cannot be read: No such file"):
        read_map(tmp_path / "none.txt")


def test_folders_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"exemplar_dir=.*none: no such folder"):
        Library(tmp_path / "none")
    with pytest.raises(UserError, match=r"exemplar_dir=.*: no photos there"):
        Library(tmp_path)
    fill(tmp_path, "ann/1.png.txt")
    with pytest.raises(UserError, match=r"exemplar_dir=.*ann: no photos there"):
        Library(tmp_path)
    fill(tmp_path, "1.png", "ann/1.png")
    with pytest.raises(UserError, match=r"holds both photos \(1.png\) and folders \(ann\)"):
        Library(tmp_path)


def test_photos_are_read_when_met_and_bad_ones_left_out(tmp_path, caplog):
    read = []

    def reader(file):
        read.append(file.name)
        if file.name == "bad.png":
            raise UserError(f"{file}: no face in it")
        return file.stem

    library = Library(fill(tmp_path, "ann/1.png", "ann/bad.png", "bob/bad.png"))
    assert library.exemplars("ann", reader) == library.exemplars("ann", never) == ["1"]
    assert read == ["1.png", "bad.png"]
    assert "exemplar left out: " in caplog.text
    with pytest.raises(UserError, match="none of the exemplars of bob can be used"):
        library.exemplars("bob", reader)


# Reading one photo.


def save(path, rgb, landmarks=None):
    images.write_rgb8(path, rgb)
    if landmarks is not None:
        write_landmarks(path.with_name(path.name + ".txt"), landmarks)
    return path


def test_an_aligned_picture_with_landmarks_is_taken_as_it_is(tmp_path):
    square, landmarks = samples.aligned("astronaut"), samples.reference("astronaut")
    exemplar = ExemplarReader(never, never)(save(tmp_path / "a.png", square, landmarks))
    np.testing.assert_array_equal(exemplar.rgb, square)
    np.testing.assert_array_equal(exemplar.landmarks, landmarks)
    small = cv2.resize(square, (200, 300))
    exemplar = ExemplarReader(never, never)(save(tmp_path / "a.png", small, landmarks))
    np.testing.assert_array_equal(exemplar.rgb, cv2.resize(small, (512, 512), interpolation=cv2.INTER_AREA))
    np.testing.assert_array_equal(exemplar.landmarks, landmarks)  # they are those of the enlarged picture, as published


def test_a_larger_picture_is_aligned_by_its_landmarks(tmp_path):
    """Whatever its size: the same face, without the aliases of a large photo's finest detail."""
    square, landmarks = samples.aligned("astronaut"), samples.reference("astronaut")
    turn = cv2.getRotationMatrix2D((255.5, 255.5), 15, 1.2)
    turn[:, 2] += 100
    photo, points = cv2.warpAffine(square, turn, (800, 700)), landmarks @ turn[:, :2].T + turn[:, 2]
    first = ExemplarReader(never, never)(save(tmp_path / "a.png", photo, points))
    large = cv2.resize(photo, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR).astype(int)
    large[::2, ::2] += 60  # every second pixel: gone in the mean of a face four times as large
    large[1::2, ::2] -= 60
    second = ExemplarReader(never, never)(
        save(tmp_path / "b.png", np.uint8(np.clip(large, 0, 255)), (points + 0.5) * 4 - 0.5)
    )
    face = np.s_[200:420, 150:350]
    for one in (first, second):
        assert one.rgb.shape == (512, 512, 3)
        moved, _ = cv2.estimateAffinePartial2D(landmarks, one.landmarks)
        expected, found = cv2.warpAffine(square, moved, (512, 512))[face], one.rgb[face]
        assert np.abs(np.int32(found) - expected).mean() < 4
        np.testing.assert_allclose(displacement(found, expected), 0, atol=0.1)


def test_any_other_is_aligned_by_its_largest_face(tmp_path, caplog):
    caplog.set_level("INFO", "metaf2n_tf")
    photo, points = samples.photo_and_points("grace_hopper")
    faces = [
        Face(0, (0, 0, 30, 30), 0.99, points / 10),
        Face(1, (190, 90, 350, 320), 0.95, points),
        Face(2, (0, 0, 900, 900), 0.95, np.full((5, 2), 7, np.float32)),  # cannot be aligned
    ]
    expected = np.random.default_rng(0).uniform(100, 400, (68, 2))
    exemplar = ExemplarReader(lambda rgb: faces, lambda square: expected)(save(tmp_path / "a.png", photo))
    np.testing.assert_array_equal(exemplar.rgb, samples.aligned("grace_hopper"))
    np.testing.assert_array_equal(exemplar.landmarks, expected)
    assert "a.png: the largest of its 2 faces is taken" in caplog.text


def test_photos_that_cannot_guide_are_refused(tmp_path):
    photo, points = samples.photo_and_points("astronaut")
    file = save(tmp_path / "a.png", photo)
    with pytest.raises(UserError, match=r"a.png: no face in it. Remedy: .*a.png.txt beside it"):
        ExemplarReader(lambda rgb: [], never)(file)
    face = Face(0, (0, 0, 30, 30), 0.99, points)
    with pytest.raises(UserError, match=r"a.png: no landmarks in its face"):
        ExemplarReader(lambda rgb: [face], lambda square: None)(file)
    write_landmarks(tmp_path / "a.png.txt", np.arange(136.0).reshape(68, 2))
    with pytest.raises(UserError, match=r"a.png.txt: .*degenerate: all points of its eyes lie on one line"):
        ExemplarReader(never, never)(file)
    for elsewhere in (samples.reference("astronaut") + 5000, samples.reference("astronaut") / 512):
        (tmp_path / "a.png.txt").write_text("".join(f"{x} {y}\n" for x, y in elsewhere))
        with pytest.raises(UserError, match=r"a.png.txt: the landmarks do not lie on a face in \d+x\d+ pixels"):
            ExemplarReader(never, never)(file)


def test_two_pictures_do_not_share_landmarks(tmp_path):
    file = save(tmp_path / "a.png", samples.aligned("astronaut"))
    write_landmarks(tmp_path / "a.txt", samples.reference("astronaut"))
    np.testing.assert_array_equal(ExemplarReader(never, never)(file).landmarks, samples.reference("astronaut"))
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match=r"a.txt: the landmarks of a.jpg or a.png\? Remedy: a.png.txt for each"):
        ExemplarReader(never, never)(file)
