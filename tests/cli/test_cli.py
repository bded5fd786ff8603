"""Whole commands, as a user runs them, with a tiny network."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import commands
import cv2
import numpy as np
import pytest
import recipe
from conftest import make_tiny_sr
from PIL import Image

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.main import COMMANDS
from metaf2n_tf.data import images
from metaf2n_tf.faces import folder
from metaf2n_tf.weights import npz, tf1_checkpoint


def slow(*values):
    """A case of its own process that `make test` leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture
def place(tmp_path, root, sample_lq, golden_mask):
    """A user's folder: photos, faces, a meta-trained checkpoint, plain weights."""

    class Place:
        photos, faces, out = tmp_path / "LQ", tmp_path / "faces", tmp_path / "out"
        model, plain = tmp_path / "Model0" / "model-1000", tmp_path / "plain.npz"

        @staticmethod
        def run(script, *arguments, code=0):
            return commands.run(tmp_path, script, *arguments, code=code)

        def test(self, *arguments, code=0, face_dir=True):
            faces = ["--face_dir", self.faces] if face_dir else []
            common = ["--input_dir", self.photos, "--output_dir", self.out, "--model_dir", self.model]
            return self.run("test.py", *common, *faces, *arguments, code=code)

        def add_photo(self, name, size=(24, 20), seed=1):
            self.photos.mkdir(exist_ok=True)
            path = self.photos / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.to_levels(recipe.image((*size, 3), seed))).save(path)
            return path

        def add_face(self, name, index=0, size=(20, 18), seed=2):
            hq = images.to_levels(recipe.image((4 * size[0], 4 * size[1], 3), seed))
            lq = cv2.resize(hq, size[::-1], interpolation=cv2.INTER_AREA)
            kept = folder.read_pairs(self.faces, Path(name))
            pairs = {**dict(enumerate(kept)), index: (lq, hq)}
            sides = {
                folder.LQ: {i: pair[0] for i, pair in pairs.items()},
                folder.HQ: {i: pair[1] for i, pair in pairs.items()},
            }
            folder.write_pictures(self.faces, Path(name), sides)

        def records(self):
            lines = (self.out / "results.jsonl").read_text().splitlines()
            return {record["photo"]: record for record in map(json.loads, lines)}

        def files(self):
            return sorted(str(file.relative_to(self.out)) for file in self.out.rglob("*") if file.is_file())

    tf1_checkpoint.write_checkpoint(Place.model, make_tiny_sr() | golden_mask)
    npz.write_npz(Place.plain, make_tiny_sr())
    Place.sample = sample_lq
    return Place()


def test_published_command(place):
    place.add_photo("a.png")
    place.add_photo("b.jpeg", (17, 31), seed=5)
    place.add_face("a.png")
    place.add_face("a.png", 2, seed=7)
    place.add_face("b.jpeg")
    log = place.test("--patch_size", 64, "--patch_num_per_img", 4, "--fine_tune_num", 2)
    assert place.files() == ["a.png", "b.png", "results.jsonl"]
    assert images.read_photo(place.out / "a.png").size == (96, 80)
    assert images.read_photo(place.out / "b.png").size == (68, 124)
    record = place.records()["a.png"]
    assert (record["faces"], record["patches"], record["size"]) == (2, 8, [24, 20])
    assert len(record["losses"]) == 3
    assert record["losses"][2] < record["losses"][0]
    assert (record["task_lr"], record["weights_kind"], record["seed"]) == (1e-2, "meta-trained", 0)
    assert record["adapted"]
    assert 0 < record["mean_weight"] < 1
    assert "task_lr: 0.01, the default for meta-trained weights" in log
    assert "adaptation in graph mode" in log or "adaptation in XLA mode" in log
    assert "\n1/2 a.png: 2 faces, loss 0." in log
    assert "\n2/2 b.jpeg: 1 face, loss 0." in log


def test_a_result_beside_its_photo_is_called_by_scale_and_format(place):
    photo = place.add_photo("a.png")
    flags = ["--model_dir", place.plain, "--fine_tune_num", 0]
    place.run("test.py", photo, *flags, "--outscale", 2.5, "--format", "jpg")
    with Image.open(photo.with_name("a_x2.5.jpg")) as result:
        assert (result.format, result.size) == ("JPEG", (50, 60))
    place.run("test.py", place.photos, *flags, "--outscale", 2, "--format", "webp", "--quality", 100, "--ext", "png")
    assert sorted(path.name for path in place.photos.with_name("LQ_x2").iterdir()) == ["a.webp", "results.jsonl"]
    record = json.loads((place.photos.with_name("LQ_x2") / "results.jsonl").read_text())
    assert [record[name] for name in ("outscale", "format", "quality")] == [2.0, "webp", 100]
    log = place.run("test.py", photo, "--outscale", "nan", code=2)
    assert log.splitlines()[-1] == "error: --outscale nan: from 0.5 to 8"
    log = place.run("test.py", photo, "--quality", 90, code=2)
    said = "error: --quality 90: PNG files lose nothing. Remedy: leave it out, or --format jpg or webp"
    assert log.splitlines()[-1] == said


def test_the_same_seed_gives_the_same_bytes(place):
    place.add_photo("a.png")
    place.add_face("a.png")
    pictures = []
    for seed in (3, 3, 4):
        place.test("--seed", seed, "--overwrite")
        pictures.append((place.out / "a.png").read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]


def test_several_step_counts_in_one_pass(place, monkeypatch):
    """Also where XLA pays, which the number of photos and of steps must not decide."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    place.add_photo("a.png")
    place.add_photo("none.png", seed=9)
    place.add_face("a.png")
    place.test("--fine_tune_num", "0,1,3")
    steps = [f"steps_{n}/{name}" for n in (0, 1, 3) for name in ("a.png", "none.png")]
    assert place.files() == ["results.jsonl", *steps]
    assert len(place.records()["a.png"]["losses"]) == 4
    together = {n: (place.out / f"steps_{n}" / "a.png").read_bytes() for n in (0, 1, 3)}
    assert len(set(together.values())) == 3
    mode = place.records()["a.png"]["mode"]
    for n in (0, 1):
        shutil.rmtree(place.out)
        place.test("--fine_tune_num", n)
        assert (place.out / "a.png").read_bytes() == together[n]
        assert place.records()["a.png"]["mode"] == mode


def test_photos_without_faces_are_super_resolved_unadapted(place):
    place.add_photo("a.png")
    place.add_photo("a2.png", seed=4)
    place.add_face("a2.png")  # must not count as a face of a.png
    log = place.test()
    assert "a.png: no face, so super-resolved unadapted" in log
    assert "2 photos are in" in log
    assert (place.records()["a.png"]["faces"], place.records()["a.png"]["adapted"]) == (0, False)
    assert place.records()["a2.png"]["adapted"]


def test_faces_are_found_without_a_face_dir(place):
    place.photos.mkdir()
    shutil.copy(place.sample, place.photos / "portrait.png")
    log = place.test("--model_dir", place.plain, face_dir=False)
    record = place.records()["portrait.png"]
    assert (record["faces"], record["patches"], record["detector"]) == (1, 16, "mtcnn")
    assert (record["task_lr"], record["weights_kind"], record["mean_weight"]) == (1e-3, "plain Real-ESRGAN", 1.0)
    assert "task_lr: 0.001, the default for plain Real-ESRGAN weights" in log
    assert "restorer: faces_lite" in log
    # The same faces, written by the other command, give the same bytes.
    found = (place.out / "portrait.png").read_bytes()
    place.run(
        "generate_test_faces.py", "--input_dir", place.photos, "--output_dir", place.faces, "--model_dir", place.plain
    )
    place.test("--model_dir", place.plain, "--overwrite")
    assert (place.out / "portrait.png").read_bytes() == found


def test_generated_faces_have_the_published_names_and_sizes(place):
    place.photos.mkdir()
    shutil.copy(place.sample, place.photos / "portrait.png")
    place.add_photo("scene.jpg", (60, 60))
    (place.photos / "notes.txt").write_text("hello")
    log = place.run(
        "generate_test_faces.py",
        *("--input_dir", place.photos, "--output_dir", place.faces, "--model_dir", place.plain),
        code=1,
    )
    assert "without a face (1): scene.jpg" in log
    assert "notes.txt: not a readable picture" in log
    lq, hq = (images.read_rgb8(place.faces / side / "portrait_0.png") for side in ("Face_LQ", "Face_HQ"))
    assert hq.shape[:2] == (4 * lq.shape[0], 4 * lq.shape[1])
    crops = np.lib.stride_tricks.sliding_window_view(images.read_rgb8(place.sample), lq.shape)
    assert np.any(np.all(crops == lq, axis=(-3, -2, -1)))
    assert len(list(place.faces.rglob("*.png"))) == 2


def test_bad_files_are_named_and_the_rest_goes_on(place):
    place.add_photo("good.png")
    (place.photos / "notes.txt").write_text("hello")
    (place.photos / "cut.png").write_bytes((place.photos / "good.png").read_bytes()[:-50])
    place.add_photo("lonely.png")
    place.add_face("lonely.png")
    (place.faces / "Face_HQ" / "lonely_0.png").unlink()
    (place.photos / "gone.png").symlink_to("nowhere.png")
    (place.photos / "Thumbs.db").write_text("hello")
    log = place.test(code=1)
    for bad in (
        "notes.txt: not a readable picture",
        "cut.png: not a readable picture",
        "its partner in Face_HQ is missing",
        "gone.png: not a readable picture (No such file or directory)",
    ):
        assert bad in log
    assert "4 of 5 files could not be used" in log
    assert "1 photo is in" in log
    assert place.files() == ["good.png", "results.jsonl"]


def test_results_that_are_there_are_kept(place):
    place.add_photo("a.png")
    place.add_photo("sub/b.png")
    place.add_face("a.png")
    place.test()
    before = (place.out / "a.png").stat().st_mtime_ns
    log = place.test("--recursive")
    assert "1 photo has its results already: skipped" in log
    assert place.files() == ["a.png", "results.jsonl", "sub/b.png"]
    assert (place.out / "a.png").stat().st_mtime_ns == before
    assert set(place.records()) == {"a.png", "sub/b.png"}
    assert "skipped (--overwrite makes them anew)" in place.test("--recursive")
    place.test("--overwrite")
    assert (place.out / "a.png").stat().st_mtime_ns != before


@pytest.mark.parametrize("streams", ["2>&- >&- <&-", "2>/dev/full >/dev/full"])
def test_one_photo_with_nobody_listening(place, streams):
    """`--input_dir` may be a photo, and the work is done where stderr is closed, or full."""
    photo = place.add_photo("a.png")
    place.add_photo("a.jpg")
    arguments = ["--input_dir", photo, "--output_dir", place.out, "--model_dir", place.plain, "--fine_tune_num", 0]
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", *commands.command("test.py", *arguments)]
    assert subprocess.run(command, check=False, env=commands.environment(place.photos)).returncode == 0
    assert place.files() == ["a.png", "results.jsonl"]
    assert set(place.records()) == {"a.png"}


def test_two_photos_of_one_result_are_named_before_any_work(place):
    for name in ("photo.jpg", "photo.png"):
        place.add_photo(name)
    (place.photos / "photo.png").rename(place.photos / "photo.jpg~")
    faces = ["--output_dir", place.out, "--model_dir", place.plain]
    for log in (
        place.test(code=2, face_dir=False),
        place.run("generate_test_faces.py", "--input_dir", place.photos, *faces, code=2),
        place.run("scripts/fine_tune_experiment.py", "--input_dir", place.photos, *faces, code=2),
    ):
        assert "photo.jpg and photo.jpg~ would give results of one name. Remedy: rename one, or --ext" in log
    assert not place.out.exists()


def test_results_inside_the_folder_of_photos_are_no_photos(place):
    place.add_photo("a.png")
    place.add_photo("sub/b.png", seed=4)
    place.faces, place.out = place.photos / "faces", place.photos / "sub" / ".." / "out"
    place.add_face("a.png")
    for _ in range(2):
        place.test("--recursive", "--overwrite")
        assert place.files() == ["a.png", "results.jsonl", "sub/b.png"]


def test_odd_names_do_not_stop_the_folder(place):
    place.add_photo("z.png")
    for name in (b"caf\xe9.png", b"a b[1]*{2}.x.png", b"n" * 251 + b".png"):
        shutil.copy(place.photos / "z.png", os.path.join(os.fsencode(place.photos), name))
    (place.photos / "z.json").write_text("{}")  # a sidecar file
    place.add_face("z.png")
    log = place.test("--ext", "png", "--report")
    assert "4 photos are in" in log
    assert len(list(place.out.glob("*.png"))) == len(list((place.out / "report_parts").iterdir())) == 4
    assert "4 photos have their results already" in place.test("--ext", "png", "--report")
    assert "z.json: not a readable picture" in place.test(code=1)


def test_tiles_precision_and_orientation(place):
    upright = place.add_photo("a.png", (60, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(upright).transpose(Image.Transpose.ROTATE_90).save(place.photos / "turned.png", exif=exif)
    place.test("--tile", 0, face_dir=False, code=0)
    whole = images.read_rgb8(place.out / "a.png").astype(int)
    np.testing.assert_array_equal(images.read_rgb8(place.out / "turned.png"), whole)
    for arguments, largest in ((["--tile", 32, "--tile_pad", 36], 1), (["--precision", "bfloat16"], 12)):
        place.test(*arguments, "--overwrite", face_dir=False)
        difference = np.abs(images.read_rgb8(place.out / "a.png") - whole)
        assert difference.max() <= largest


def test_every_kind_of_weights_is_taken(place, root):
    place.add_photo("a.png")
    pictures = set()
    for name in ("rrdbnet_zip.pth", "rrdbnet_legacy.pth"):
        place.test("--model_dir", root / "tests" / "golden" / "pth" / name, "--overwrite", face_dir=False)
        pictures.add((place.out / "a.png").read_bytes())
    assert len(pictures) == 1
    bracketed = place.model.parent.with_name("Model[0]")
    place.model.parent.rename(bracketed)
    place.test("--model_dir", bracketed, "--overwrite", face_dir=False)


def spoil_bytes(path):
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("evil_zip.pth", "it asks to load posix.system"),
        slow("mixed_legacy.pth", "is missing, so this is no SR network that is known"),
        slow("cut.pth", "cut.pth: not a readable PyTorch file"),
        ("cut.npz", "cut.npz: not a readable .npz file"),
        slow("array.npz", "array.npz: not a readable .npz file"),
        slow("text.param", "text.param: not an ncnn .param file"),
        slow("text.txt", "text.txt: not a known weight file"),
        slow("Model0/model-999", "model-999: no weights there"),
        slow("cut/model-1", "not a readable TensorFlow checkpoint, or damaged"),
        slow("empty", "checkpoint: names nothing"),
        ("lacking/model-1", "variable Mask/conv5/bias is missing"),
        slow("misshapen/model-1", "variable MODEL/conv_hr/bias has shape (7,), expected (8,)"),
    ],
)
def test_bad_weights_are_one_line_and_exit_code_2(place, root, golden_mask, name, message):
    place.add_photo("a.png")
    folder = place.plain.parent / "weights"
    shutil.copytree(root / "tests" / "golden" / "pth", folder)
    shutil.copy(folder / "rrdbnet_zip.pth", folder / "cut.pth")
    shutil.copy(place.plain, folder / "cut.npz")
    np.save(folder / "array.npy", np.zeros(3))
    (folder / "array.npy").rename(folder / "array.npz")
    for file in ("text.param", "text.bin", "text.txt"):
        (folder / file).write_text("hello")
    variables = make_tiny_sr() | golden_mask
    tf1_checkpoint.write_checkpoint(folder / "cut" / "model-1", variables)
    for file in ("cut.pth", "cut.npz", "cut/model-1.data-00000-of-00001"):
        spoil_bytes(folder / file)
    (folder / "empty").mkdir()
    (folder / "empty" / "checkpoint").touch()
    shapes = {**variables, "MODEL/conv_hr/bias": np.zeros(7, np.float32)}
    tf1_checkpoint.write_checkpoint(folder / "misshapen" / "model-1", shapes)
    del variables["Mask/conv5/bias"]
    tf1_checkpoint.write_checkpoint(folder / "lacking" / "model-1", variables)
    log = place.test("--model_dir", folder / name, code=2, face_dir=False)
    assert message in log.splitlines()[-1]
    assert log.count("error: ") == 1


def test_gray_alpha_and_depth_reach_the_result(place):
    place.photos.mkdir()
    colours = images.to_levels(recipe.image((20, 24, 3), 1), 16)
    cv2.imwrite(str(place.photos / "deep.png"), colours[..., ::-1])
    Image.fromarray(images.to_levels(recipe.image((20, 24, 3), 1))[..., 0]).save(place.photos / "gray.bmp")
    alpha = np.zeros((20, 24), np.uint8)
    alpha[:, 12:] = 255
    Image.fromarray(np.dstack([images.to_levels(recipe.image((20, 24, 3), 1)), alpha])).save(
        place.photos / "alpha.webp"
    )
    place.faces.mkdir()
    (place.faces / "Face_LQ").mkdir()
    place.test()
    deep, gray, see = (images.read_photo(place.out / f"{name}.png") for name in ("deep", "gray", "alpha"))
    assert (deep.depth, gray.gray, gray.depth) == (16, True, 8)
    assert see.alpha is not None
    assert (see.alpha[:, :40] == 0).all()
    assert (see.alpha[:, -40:] == 1).all()
    assert deep.size == (80, 96)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fine_tune_num", "two"], "--fine_tune_num two: expected a number"),
        slow(["--fine_tune_num", "1,1"], "--fine_tune_num 1,1: expected a number"),
        slow(["--fine_tune_num", "-1"], "--fine_tune_num -1: expected a number"),
        slow(["--patch_size", "30"], "--patch_size 30: a multiple of 4"),
        slow(["--patch_num_per_img", "0"], "--patch_num_per_img 0: at least 1"),
        slow(["--task_lr", "-1"], "--task_lr -1: a positive number"),
        (["--strength", "0,two"], "--strength 0,two: expected a number, or distinct numbers"),
        slow(["--fine_tune_num", "0,auto"], "--fine_tune_num auto: stands alone"),
        (["--tile", "3"], "--tile 3: at least 32"),
        slow(["--seed", "-3"], "seed"),
        slow(["--precision", "int8"], "precision"),
        (["--gpu", "0"], "--gpu 0: TensorFlow sees no such GPU"),
        (["--model_dir", "nowhere"], "nowhere: no weights there. Remedy:"),
        slow(["--input_dir", "nowhere"], "--input_dir nowhere: no such folder"),
        slow(["--face_dir", "nowhere"], "--face_dir nowhere: there is no Face_LQ in it"),
        (["--sharpness", "1"], "Unknown command line flag 'sharpness'"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(place, arguments, message):
    place.add_photo("a.png")
    place.add_face("a.png")
    log = place.test(*arguments, code=2)
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert log.splitlines()[-1] == errors[0]
    assert not list(place.out.rglob("*.png"))


@pytest.mark.parametrize("script", ["test.py", "generate_test_faces.py", "calculate_metrics.py"])
def test_a_name_without_its_flag_is_not_called_a_folder(tmp_path, script):
    assert commands.run(tmp_path, script, "gone.jpg", code=2) == "error: gone.jpg: no such file or folder\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "printed"), [([], ""), (["--verbosity=0"], "of another package")])
def test_the_log_of_other_packages_is_not_on_stderr_unasked(tmp_path, root, given, printed):
    code = """
import logging, sys, types
from metaf2n_tf.commands import cli
command = types.ModuleType("command", "Log.")
command.TAKES, command.define_flags = "", lambda: None
command.main = lambda flags, names: logging.getLogger("other").info("of another package")
cli.run(command, sys.argv)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stderr.strip().endswith(printed)
    assert bool(done.stderr) == bool(printed)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_metaf2n_has_examples_of_metaf2n(name):
    module = importlib.import_module(f"metaf2n_tf.commands.{name}")
    assert cli._help(module.__doc__, "test.py") == module.__doc__
    shown = cli._help(module.__doc__, f"metaf2n {name}")
    examples = [line for line in shown.splitlines() if line.startswith(("python ", "metaf2n "))]
    assert examples
    assert all(f"{line} ".startswith(f"metaf2n {name} ") for line in examples)
    assert len(set(examples)) == len(examples)
    assert shown.splitlines()[0] == module.__doc__.splitlines()[0]


def test_remarks_of_the_library_name_flags_in_the_log_and_in_the_record(place):
    place.add_photo("a.png")
    place.add_face("a.png")
    log = place.test("--task_lr", 1e20, "--patch_size", 32, "--patch_num_per_img", 2)
    (said,) = [line for line in log.splitlines() if "the loss diverged" in line]
    assert said.endswith("so there the unadapted weights are used. Remedy: a lower --task_lr")
    assert said == f"a.png: {place.records()['a.png']['note']}"


def test_unknown_detector_and_results_over_photos_are_refused(place):
    place.add_photo("a.png")
    assert "--detector eyes: not one of retinaface_r50, retinaface, mtcnn" in place.test(
        "--detector", "eyes", face_dir=False, code=2
    )
    log = place.test("--output_dir", place.photos, face_dir=False, code=2)
    assert "is the folder of the photos" in log
    place.photos.rename(place.photos.with_name("steps_0"))
    place.photos = place.photos.with_name("steps_0")
    log = place.test("--output_dir", place.photos.parent, "--fine_tune_num", "0,1", face_dir=False, code=2)
    assert "would be overwritten by its result" in log
    photo = place.photos / "a.png"
    log = place.run("test.py", "--input_dir", photo, "--output_dir", place.photos, "--fine_tune_num", "0", code=2)
    assert "is the folder of the photos" in log
    place.add_photo("steps_0/a.jpg")
    log = place.test("--output_dir", place.photos.parent, "--recursive", face_dir=False, code=2)
    assert "a.png would be overwritten by the result of steps_0/a.jpg" in log


def test_report(place, root):
    """Every photo is in it, also those of earlier runs; the pictures are the same as without it."""
    (place.photos.parent / "weights").symlink_to(root / "weights")
    place.add_photo("a.png", (30, 30))
    place.add_photo("none.png", (30, 28), seed=9)
    place.add_face("a.png")
    place.test("--fine_tune_num", 2)
    plain = (place.out / "a.png").read_bytes()
    gt = place.photos.parent / "GT"
    gt.mkdir()
    Image.fromarray(images.to_levels(recipe.image((120, 120, 3), 1))).save(gt / "a.jpg")
    log = place.test("--fine_tune_num", 2, "--report", "--gt_dir", gt)
    assert "none.png: not compared: no ground truth of this name" in log
    assert (place.out / "a.png").read_bytes() == plain
    assert place.files() == sorted(
        ["a.png", "none.png", "report.html", "report_parts/a.json", "report_parts/none.json", "results.jsonl"]
    )
    part = json.loads((place.out / "report_parts" / "a.json").read_text())
    assert [view["label"] for view in part["views"]] == ["LQ, bicubic", "unadapted", "2 steps", "GT"]
    metrics = place.records()["a.png"]["metrics"]
    assert set(metrics) == {"LQ, bicubic", "unadapted", "2 steps"}
    assert metrics["2 steps"] == part["views"][2]["metrics"]
    assert set(metrics["2 steps"]) == {"psnr_y", "psnr_y_published", "ssim_y", "lpips", "niqe_pyiqa"}
    assert part["faces"][0]["weights"]["max"] > 0
    assert [(curve["label"], len(curve["values"])) for curve in part["losses"]] == [
        ("inner loss", 3),
        ("held-out loss", 3),
    ]
    assert "no face" in json.loads((place.out / "report_parts" / "none.json").read_text())["note"]

    log = place.test("--fine_tune_num", 2, "--report")
    assert "results already" not in log
    assert set(place.records()["a.png"]["metrics"]["2 steps"]) == {"niqe_pyiqa"}
    place.test("--fine_tune_num", 2, "--report", "--gt_dir", gt)
    (place.out / "report.html").unlink()
    place.add_photo("new.png", seed=4)
    log = place.test("--fine_tune_num", 2, "--report", "--gt_dir", gt)
    assert "2 photos have their results already" in log
    html = (place.out / "report.html").read_text()
    assert all(f'"photo":"{name}"' in html for name in ("a.png", "none.png", "new.png"))
    assert "--gt_dir: is for --report" in place.test("--gt_dir", gt, code=2)


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_stopped_in_the_middle_everything_left_is_whole(place, how):
    for index in range(20):
        place.add_photo(f"p{index:02}.png", (40, 40), index)
        place.add_face(f"p{index:02}.png", seed=index)
    arguments = ["--input_dir", place.photos, "--face_dir", place.faces, "--output_dir", place.out]
    arguments += ["--model_dir", place.model, "--fine_tune_num", "1,2"]
    process = subprocess.Popen(
        commands.command("test.py", *arguments),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )
    while not (place.out / "steps_2" / "p02.png").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    os.kill(process.pid, how)
    _, log = process.communicate()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted: what was finished is kept" in log
    left = [place.out / name for name in place.files() if name.endswith(".png") and "/." not in name]
    assert 4 <= len(left) < 40
    for path in left:
        assert images.read_photo(path).size == (160, 160)
    place.records()
    place.test("--fine_tune_num", "1,2")
    assert len(place.files()) == 41
    assert len(place.records()) == 20
    assert not [name for name in place.files() if name.endswith(".part")]


def test_download_weights_lists_and_refuses(place):
    done = subprocess.run(
        commands.command("scripts/download_weights.py", "--list"), capture_output=True, text=True, check=True
    )
    assert "realesrgan-x4plus " in done.stdout
    assert "not a known name" in place.run("scripts/download_weights.py", "vgg", code=2)
    assert "shares it by hand" in place.run("scripts/download_weights.py", "metaf2n", code=2)
