"""generate_test_faces.py with small stand-ins for the published weight files, where users put them."""

import os
import shutil
import signal
import subprocess
import time

import commands
import cv2
import exemplar_samples as samples
import numpy as np
import pytest
from asffnet_weights import tiny_asffnet_state_dict
from conftest import make_tiny_sr
from face_weights import retinaface_state_dict, tiny_gpen_state_dict
from PIL import Image
from torch_file import write_pth

from metaf2n_tf.data import images
from metaf2n_tf.faces import folder
from metaf2n_tf.weights import npz


@pytest.fixture
def place(tmp_path, sample_lq):
    """A user's folder: GPEN's file in ./weights, and the sample portrait."""

    class Place:
        home, photos, out, weights = tmp_path, tmp_path / "LQ", tmp_path / "faces", tmp_path / "weights"
        arguments = ("--input_dir", photos, "--output_dir", out, "--detector", "mtcnn")

        def run(self, *arguments, code=0):
            return commands.run(tmp_path, "generate_test_faces.py", *self.arguments, *arguments, code=code)

        def files(self, *sides):
            return sorted(str(file.relative_to(self.out)) for side in sides for file in (self.out / side).rglob("*.*"))

        def read(self, name):
            return images.read_rgb8(self.out / name)

        def group(self, name, rows, cols):
            portrait = images.read_rgb8(sample_lq)[20:100, 24:104]
            images.write_rgb8(self.photos / name, np.tile(portrait, (rows, cols, 1)))

    Place.photos.mkdir()
    Place.weights.mkdir()
    shutil.copy(sample_lq, Place.photos / "portrait.png")
    write_pth(Place.weights / "GPEN-BFR-512.pth", tiny_gpen_state_dict())
    return Place()


def test_gpen_is_the_default_where_its_file_is(place):
    log = place.run("--save_aligned", "--preview")
    assert "detector: mtcnn (needs no file)\n" in log
    assert "restorer: gpen (weights/GPEN-BFR-512.pth)\ngpen: takes faces of 64 pixels\n" in log
    assert "self_ensemble" not in log
    assert place.files(*folder.SIDES) == [
        "Aligned_HQ/portrait_0.png",
        "Aligned_LQ/portrait_0.png",
        "Face_HQ/portrait_0.png",
        "Face_LQ/portrait_0.png",
        "Preview/portrait.png",
    ]
    lq, hq = place.read("Face_LQ/portrait_0.png"), place.read("Face_HQ/portrait_0.png")
    assert hq.shape == (4 * lq.shape[0], 4 * lq.shape[1], 3)
    assert place.read("Aligned_LQ/portrait_0.png").shape == place.read("Aligned_HQ/portrait_0.png").shape == (64, 64, 3)
    shutil.rmtree(place.out)
    place.run()
    assert place.files(*folder.SIDES) == ["Face_HQ/portrait_0.png", "Face_LQ/portrait_0.png"]
    np.testing.assert_array_equal(place.read("Face_HQ/portrait_0.png"), hq)
    place.run("--published_crops")
    np.testing.assert_array_equal(place.read("Face_LQ/portrait_0.png"), lq)
    assert not np.array_equal(place.read("Face_HQ/portrait_0.png"), hq)


def test_the_faces_of_a_photo_that_is_named_lie_beside_it(place):
    os.rename(place.photos / "portrait.png", place.home / "portrait.png")
    commands.run(place.home, "generate_test_faces.py", "portrait.png", "--detector", "mtcnn")
    made = sorted(str(file.relative_to(place.home)) for file in place.home.glob("portrait_faces/*/*"))
    assert made == ["portrait_faces/Face_HQ/portrait_0.png", "portrait_faces/Face_LQ/portrait_0.png"]
    assert sorted(path.name for path in place.home.iterdir()) == ["LQ", "portrait.png", "portrait_faces", "weights"]


def test_the_published_files_and_the_published_command(place):
    """Untrained RetinaFace: what it finds means nothing, but it must be chosen, run, and give whole pairs."""
    write_pth(place.weights / "RetinaFace-R50.pth", retinaface_state_dict())
    log = commands.run(
        place.home,
        "generate_test_faces.py",
        "--input_dir",
        place.photos,
        "--output_dir",
        place.out,
        "--confidence",
        0.6,
    )
    assert "detector: retinaface_r50 (weights/RetinaFace-R50.pth)\n" in log
    assert "restorer: gpen (weights/GPEN-BFR-512.pth)\n" in log
    names = place.files(folder.LQ)
    assert [name.replace("Face_LQ", "Face_HQ") for name in names] == place.files(folder.HQ)
    assert names


def test_every_face_of_a_group_is_restored(place):
    place.group("group.png", 5, 6)
    place.run()
    assert len([name for name in place.files(folder.LQ) if "group" in name]) == 30
    place.run("--max_faces", 4)
    assert len([name for name in place.files(folder.HQ) if "group" in name]) == 4
    place.run("--min_face", 60)
    assert place.files(folder.LQ) == []
    log = place.run("--confidence", 0.99999)
    assert "without a face (2): group.png, portrait.png" in log


def test_asffnet_restores_the_faces_that_are_said_to_be_somebodys(place):
    place.group("group.png", 1, 2)
    write_pth(place.weights / "ASFFNet512.pth", tiny_asffnet_state_dict())
    shutil.copy(samples.MESH, place.weights)
    person = place.home / "people" / "grace"
    person.mkdir(parents=True)
    images.write_rgb8(person / "a.png", samples.photo_and_points("grace_hopper")[0])
    images.write_rgb8(person / "b.png", np.zeros((90, 90, 3), np.uint8))
    (place.home / "map.txt").write_text("group.png\t1\tgrace\nportrait.png\t0\tgrace\n")
    choice = ("--restorer", "asffnet", "--exemplar_dir", person.parent, "--exemplar_map", place.home / "map.txt")
    log = place.run(*choice, "--save_aligned")
    assert "exemplars: of grace\n" in log
    assert "exemplar left out: " in log
    assert "b.png: no face in it. Remedy:" in log
    assert f"group.png: face 0 is left out: not in {place.home / 'map.txt'}\n" in log
    assert "1 face is left out in these photos (1): group.png\n" in log
    assert "without a face" not in log
    assert place.files(folder.LQ, folder.ALIGNED_HQ) == [
        "Aligned_HQ/group_1.png",
        "Aligned_HQ/portrait_0.png",
        "Face_LQ/group_1.png",
        "Face_LQ/portrait_0.png",
    ]
    assert place.read("Aligned_HQ/portrait_0.png").shape == (512, 512, 3)


def test_photos_are_never_taken_for_results(place):
    """Faces beside the photos are no photos, and photos that lie where results would go stay as they are."""
    arguments = ("--output_dir", place.photos, "--recursive", "--save_aligned", "--preview")
    for _ in range(2):
        assert "1 face of 1 photo" in place.run(*arguments)
    preview = (place.photos / "Preview" / "portrait.png").read_bytes()
    log = place.run("--input_dir", place.photos / "Preview", "--output_dir", place.photos, code=2)
    assert "Preview: results go there. Remedy: another --output_dir" in log
    assert (place.photos / "Preview" / "portrait.png").read_bytes() == preview
    out = place.home / "res"
    model = ("--model_dir", place.home / "plain.npz")
    npz.write_npz(place.home / "plain.npz", make_tiny_sr())
    arguments = ("--input_dir", place.photos, "--face_dir", place.photos, "--output_dir", out, *model, "--recursive")
    commands.run(place.home, "test.py", *arguments)
    assert [file.name for file in out.rglob("*.png")] == ["portrait.png"]
    anew = "1 photo is made anew, as these are not those of the record"
    same = "1 photo has its results already"  # mtcnn is the detector that is there
    for choice, said in (
        (("--restorer", "gpen"), anew),
        (("--detector", "mtcnn"), same),
        (("--face_dir", place.out), anew),
    ):
        found = ("--input_dir", place.photos, "--output_dir", out, *model, *choice)
        if choice[0] == "--face_dir":
            (place.out / folder.LQ).mkdir(parents=True)
        log = commands.run(place.home, "test.py", *found)
        assert said in log


def test_photos_of_every_kind(place):
    """The same portrait gray, with alpha, with 16 bits, turned by EXIF, in a sub-folder: the same face."""
    rgb = images.read_rgb8(place.photos / "portrait.png")
    Image.fromarray(rgb).convert("L").save(place.photos / "gray.png")
    Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], 90, np.uint8)])).save(place.photos / "alpha.png")
    cv2.imwrite(str(place.photos / "deep.png"), np.uint16(rgb[..., ::-1]) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(rgb))).save(place.photos / "turned.png", exif=exif)
    (place.photos / "trip").mkdir()
    shutil.copy(place.photos / "portrait.png", place.photos / "trip" / "day.png")
    (place.photos / "broken.png").write_bytes(b"hello")
    log = place.run("--recursive", "--preview", code=1)
    assert "broken.png: not a readable picture" in log
    expected = place.read("Face_HQ/portrait_0.png")
    for name in ("alpha_0", "deep_0", "turned_0", "trip/day_0"):
        np.testing.assert_array_equal(place.read(f"Face_HQ/{name}.png"), expected)
    gray = place.read("Face_LQ/gray_0.png")
    assert np.all(gray == gray[..., :1])
    crops = np.lib.stride_tricks.sliding_window_view(images.read_rgb8(place.photos / "gray.png"), gray.shape)
    assert np.any(np.all(crops == gray, axis=(-3, -2, -1)))
    assert len(place.files(folder.PREVIEW)) == 6


def test_missing_weights_are_named_and_never_replaced(place):
    for choice, message in (
        (
            ("--restorer", "gpen_256"),
            "error: --restorer gpen_256: there is no weights/GPEN-BFR-256.pth. Remedy: python",
        ),
        (("--detector", "retinaface_r50"), "error: --detector retinaface_r50: there is no weights/RetinaFace-R50.pth."),
        (("--detector", "retinaface"), "error: --detector retinaface: https://github.com/serengil/deepface_models"),
        (
            ("--restorer", "gpen_2048"),
            "there is no weights/GPEN-BFR-2048.pth. Remedy: get it from https://www.modelscope",
        ),
        (("--restorer", "self_ensemble", "--model_dir", "nowhere"), "error: nowhere: no weights there. Remedy:"),
        (("--confidence", 0), "error: --confidence 0.0: above 0"),
        (("--min_face", -1), "error: "),
    ):
        log = place.run(*choice, code=2)
        assert message in log.splitlines()[-1]
        assert len([line for line in log.splitlines() if line.startswith("error")]) == 1
    (place.weights / "GPEN-BFR-512.pth").write_bytes(b"hello")
    assert "GPEN-BFR-512.pth: not a readable PyTorch file" in place.run(code=2)
    assert not place.out.exists()


def test_without_any_weights_the_choice_is_explained(place, root):
    (place.weights / "GPEN-BFR-512.pth").unlink()
    model = ("--model_dir", root / "weights" / "realesrgan-x4plus.npz")
    arguments = ("--input_dir", place.photos, "--output_dir", place.out, *model, "--min_face", 500)
    log = commands.run(place.home, "generate_test_faces.py", *arguments)
    assert (
        "detector: mtcnn (needs no file); not retinaface_r50: there is no weights/RetinaFace-R50.pth; not retinaface: https://"
        in log
    )
    assert "faces_lite.npz); not gpen: there is no weights/GPEN-BFR-512.pth" in log
    log = commands.run(place.home, "generate_test_faces.py", *arguments, "--save_aligned", code=2)
    assert "error: --save_aligned: faces_lite does not align faces. Remedy: --restorer gpen" in log


def test_killed_in_the_middle_everything_left_is_whole(place):
    for index in range(14):
        place.group(f"p{index:02}.png", 1, 2)
    options = ("--save_aligned", "--preview")
    process = subprocess.Popen(
        commands.command("generate_test_faces.py", *place.arguments, *options),
        stderr=subprocess.DEVNULL,
        cwd=place.home,
        env=commands.environment(place.home),
    )
    while not (place.out / "Face_LQ" / "p02_1.png").exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for name in place.files(*folder.SIDES):
        if not name.split("/")[1].startswith("."):
            place.read(name)
    for name in place.files(folder.LQ):
        assert (place.out / name.replace("Face_LQ", "Face_HQ")).is_file()
    place.run(*options)
    assert len(place.files(*folder.SIDES)) == 14 * (4 * 2 + 1) + 5  # two faces a group, one in the portrait
