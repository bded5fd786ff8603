"""Exemplars of persons, and whose a face is."""

from pathlib import Path

import cv2
import exemplar_samples as samples
import numpy as np
import pytest

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.exemplars.landmarks import write_landmarks
from metaf2n_tf.exemplars.library import ExemplarReader, Library, read_map
from metaf2n_tf.faces.detect import Face


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def never(_):
    raise AssertionError("this photo was not to be looked at")


def test_a_folder_names_its_person(tmp_path):
    library = Library(fill(tmp_path, "ann/1.png", "ann/1.png.txt", "bob/1.png", "bob/.hidden"), None, never)
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
        assert library.person_of(Path(photo), 0, alone=True) == person
        assert library.person_of(Path(photo), 0, alone=False) is None


def test_a_flat_folder_is_one_person(tmp_path):
    library = Library(fill(tmp_path / "ann", "1.png", "2.png"), None, never)
    assert library.persons == ["ann"]
    assert library.person_of(Path("any.png"), 3, alone=True) == "ann"
    assert library.person_of(Path("any.png"), 3, alone=False) is None


def test_a_map_decides_and_nothing_else(tmp_path):
    fill(tmp_path / "x", "ann/1.png", "bob/1.png")
    (tmp_path / "map.txt").write_text("group.png\t0\tbob\n\n./trip/a.png\t2\tann\n")
    library = Library(tmp_path / "x", tmp_path / "map.txt", never)
    assert library.person_of(Path("group.png"), 0, alone=False) == "bob"
    assert library.person_of(Path("group.png"), 1, alone=False) is None
    assert library.person_of(Path("trip/a.png"), 2, alone=True) == "ann"
    assert library.person_of(Path("ann.png"), 0, alone=True) is None
    (tmp_path / "map.txt").write_text("group.png\t0\tcarl\n")
    with pytest.raises(
        UserError, match=r"map.txt: carl \(face 0 of group.png\) is no folder of .*x, which has ann, bob"
    ):
        Library(tmp_path / "x", tmp_path / "map.txt", never)


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
    with pytest.raises(UserError, match=rf"--exemplar_map .*map.txt: {message}"):
        read_map(tmp_path / "map.txt")
    with pytest.raises(UserError, match=r"--exemplar_map .*none.txt: cannot be read: No such file"):
        read_map(tmp_path / "none.txt")


def test_folders_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"--exemplar_dir .*none: no such folder"):
        Library(tmp_path / "none", None, never)
    with pytest.raises(UserError, match=r"--exemplar_dir .*: no photos there"):
        Library(tmp_path, None, never)
    fill(tmp_path, "ann/1.png.txt")
    with pytest.raises(UserError, match=r"--exemplar_dir .*ann: no photos there"):
        Library(tmp_path, None, never)
    fill(tmp_path, "1.png", "ann/1.png")
    with pytest.raises(UserError, match=r"holds both photos \(1.png\) and folders \(ann\)"):
        Library(tmp_path, None, never)


def test_photos_are_read_when_met_and_bad_ones_left_out(tmp_path, capsys):
    read = []

    def reader(file):
        read.append(file.name)
        if file.name == "bad.png":
            raise UserError(f"{file}: no face in it")
        return file.stem

    library = Library(fill(tmp_path, "ann/1.png", "ann/bad.png", "bob/bad.png"), None, reader)
    assert read == []
    assert library.exemplars("ann") == library.exemplars("ann") == ["1"]
    assert read == ["1.png", "bad.png"]
    assert "exemplar left out: " in capsys.readouterr().err
    with pytest.raises(UserError, match="bob: none of the exemplars can be used"):
        library.exemplars("bob")


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
    small = cv2.resize(square, (200, 200))
    exemplar = ExemplarReader(never, never)(save(tmp_path / "a.png", small, landmarks))
    np.testing.assert_array_equal(exemplar.rgb, cv2.resize(small, (512, 512), interpolation=cv2.INTER_AREA))


def test_a_larger_picture_is_aligned_by_its_landmarks(tmp_path):
    square, landmarks = samples.aligned("astronaut"), samples.reference("astronaut")
    turn = cv2.getRotationMatrix2D((256, 256), 15, 1.2)
    turn[:, 2] += 100
    photo = cv2.warpAffine(square, turn, (800, 700))
    exemplar = ExemplarReader(never, never)(save(tmp_path / "a.png", photo, landmarks @ turn[:, :2].T + turn[:, 2]))
    assert exemplar.rgb.shape == (512, 512, 3)
    face = np.s_[180:420, 140:360]
    assert np.abs(np.linalg.norm(exemplar.landmarks - landmarks, axis=1)).max() < 12  # dlib's eyes are not MTCNN's
    moved, _ = cv2.estimateAffinePartial2D(landmarks, exemplar.landmarks)
    expected = cv2.warpAffine(square, moved, (512, 512))
    assert np.abs(exemplar.rgb[face].astype(int) - expected[face]).mean() < 4


def test_any_other_is_aligned_by_its_largest_face(tmp_path):
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
