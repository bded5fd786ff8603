import csv
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import commands
import cv2
import numpy as np
import pytest
import recipe
from conftest import make_tiny_sr
from PIL import Image

from metaf2n_tf.commands.runs import experiment, report
from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.metrics.psnr import psnr_y
from metaf2n_tf.upscale import model
from metaf2n_tf.weights import npz, tf1_checkpoint

pytestmark = pytest.mark.usefixtures("speaking")


@pytest.fixture
def place(tmp_path, root, golden_mask, monkeypatch):
    """Two photos with a face and one without, their ground truths, a tiny meta-trained checkpoint, all weights."""
    (tmp_path / "weights").symlink_to(root / "weights")
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(["a", "b", "none"]):
        gt = images.to_levels(recipe.image((144, 120, 3), seed))
        for side, picture in (("GT", gt), ("LQ", cv2.resize(gt, (30, 36), interpolation=cv2.INTER_AREA))):
            Path(side).mkdir(exist_ok=True)
            Image.fromarray(picture).save(Path(side, f"{name}.png"))
        if name != "none":
            hq = images.to_levels(recipe.image((96, 80, 3), seed + 20))
            pair = {folder.LQ: {0: cv2.resize(hq, (20, 24), interpolation=cv2.INTER_AREA)}, folder.HQ: {0: hq}}
            folder.write_pictures(Path("faces"), Path(f"{name}.png"), pair)
    tf1_checkpoint.write_checkpoint(Path("model/model-1"), make_tiny_sr() | golden_mask)
    npz.write_npz(Path("plain.npz"), make_tiny_sr())
    return tmp_path


def options(**changes):
    common = {
        "input_dir": Path("LQ"),
        "face_dir": Path("faces"),
        "gt_dir": Path("GT"),
        "output_dir": Path("out"),
        "model_dir": Path("model/model-1"),
        "blend": None,
        "fine_tune_num": [1, 3],
        "strength": [1.0],
        "task_lr": [],
        "patch_size": [32],
        "patch_num_per_img": [4],
        "seeds": [0],
        "tile": 256,
        "tile_pad": 40,
        "precision": "float32",
        "detector": None,
        "restorer": None,
        "color_fix": "none",
        "niqe": "pyiqa",
        "save_pictures": False,
        "report": False,
        "recursive": False,
        "ext": [],
        "overwrite": False,
        "gpu": "-1",
    }
    return experiment.Options(**common | changes)


def measurements():
    return [json.loads(line) for line in Path("out/measurements.jsonl").read_text().splitlines()]


@pytest.fixture
def calls(monkeypatch):
    """How often each of the two costly things was done."""
    counts = {"upscale": 0, "steps": 0}
    upscale, adapt = model.MetaF2N.upscale, model.MetaF2N.adapt

    def counted_upscale(self, *arguments):
        counts["upscale"] += 1
        return upscale(self, *arguments)

    def counted_adapt(self, *arguments, **settings):
        adaptation = adapt(self, *arguments, **settings)
        gradient = adaptation._gradient

        def counted(params):
            counts["steps"] += 1
            return gradient(params)

        adaptation._gradient = counted
        return adaptation

    monkeypatch.setattr(model.MetaF2N, "upscale", counted_upscale)
    monkeypatch.setattr(model.MetaF2N, "adapt", counted_adapt)
    return counts


def test_one_pass_gives_what_single_runs_give(place, calls, capsys):
    """Steps and the unadapted picture are shared; the pictures are those of test.py."""
    assert experiment.run(options(task_lr=[1e-2, 5e-2], seeds=[0, 7], save_pictures=True)) == 0
    assert calls == {"upscale": 2 * (1 + 4 * 2) + 1, "steps": 2 * 4 * 3}
    rows = {(r["photo"], r["task_lr"], r["seed"], r["steps"]): r for r in measurements()}
    assert len(rows) == 3 * 4 * 3
    for steps, where in ((0, "unadapted"), (3, "task_lr_0.05-patch_size_32-patch_num_per_img_4-seed_7/steps_3")):
        single = ["--input_dir", "LQ", "--face_dir", "faces", "--output_dir", f"single{steps}", "--gpu", "-1"]
        single += ["--model_dir", "model/model-1", "--fine_tune_num", steps, "--patch_size", 32]
        single += ["--task_lr", 5e-2, "--patch_num_per_img", 4, "--seed", 7]
        commands.run(place, "test.py", *single)
        for name in ("a.png", "b.png", "none.png"):
            result = Path(f"single{steps}", name)
            assert Path("out/pictures", where, name).read_bytes() == result.read_bytes()
            expected = psnr_y(images.read_rgb8(result), images.read_rgb8(Path("GT", name)))
            assert rows[name, 5e-2, 7, steps]["metrics"]["psnr_y"] == expected
    assert rows["a.png", 5e-2, 7, 3]["adapted"]
    assert len(rows["a.png", 5e-2, 7, 3]["losses"]) == 4
    assert not rows["none.png", 5e-2, 7, 3]["adapted"]
    printed = capsys.readouterr()
    assert "best psnr_y: " in printed.out
    assert "none.png: no face, so every setting gives the unadapted picture" in printed.err
    with open("out/experiment.csv") as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["psnr_y"]) for row in table[:3]] == [
        rows["a.png", 1e-2, 0, n]["metrics"]["psnr_y"] for n in (0, 1, 3)
    ]
    assert float(table[2]["loss"]) == rows["a.png", 1e-2, 0, 3]["losses"][3]
    summary = json.loads(Path("out/experiment.json").read_text())
    assert len(summary["means"]) == 2 * 3
    assert {"psnr_y", "lpips", "ssim_y"} <= set(summary["best"])
    assert Image.open("out/experiment.png").width > 1000


def test_only_what_is_missing_is_done(place, calls, capsys):
    assert experiment.run(options()) == 0
    first = {json.dumps(record) for record in measurements()}
    done = dict(calls)
    assert experiment.run(options()) == 0
    assert calls == done
    assert "3 photos are measured already" in capsys.readouterr().err
    assert (
        experiment.run(options(fine_tune_num=[1, 2, 3], seeds=[0, 1])) == 0
    )  # 2 steps of seed 0; all of seed 1, less step 0
    later = {json.dumps(record) for record in measurements()}
    assert first <= later
    assert len(later) == 3 * 2 * 4
    assert calls["steps"] == done["steps"] + 2 * (2 + 3)
    experiment.run(options(overwrite=True))
    assert len(measurements()) == 3 * 3


def test_other_weights_do_not_mix(place):
    experiment.run(options(fine_tune_num=[1]))
    before = measurements()
    with pytest.raises(UserError, match="its measurements were made with .*weights .*Remedy: another output_dir"):
        experiment.run(options(fine_tune_num=[1], model_dir=Path("plain.npz")))
    assert measurements() == before
    assert experiment.run(options(fine_tune_num=[1], model_dir=Path("plain.npz"), overwrite=True)) == 0


def test_changed_inputs_are_measured_anew(place, calls):
    """Other pixels under the same names: photos, ground truths and faces count by their content."""
    experiment.run(options(fine_tune_num=[1]))
    before, done = measurements(), calls["upscale"]
    shutil.copy("GT/b.png", "GT/a.png")
    experiment.run(options(fine_tune_num=[1]))
    assert calls["upscale"] == done + 2
    after = {(r["photo"], r["steps"]): r["metrics"]["psnr_y"] for r in measurements()}
    for record in before:
        same = after[record["photo"], record["steps"]] == record["metrics"]["psnr_y"]
        assert same == (record["photo"] != "a.png")
    shutil.copytree("LQ", "moved")
    shutil.copytree("faces", "other_faces")
    experiment.run(options(fine_tune_num=[1], input_dir=Path("moved"), face_dir=Path("other_faces")))
    assert calls["upscale"] == done + 2
    shutil.copy("other_faces/Face_HQ/a_0.png", "other_faces/Face_HQ/b_0.png")
    experiment.run(options(fine_tune_num=[1], face_dir=Path("other_faces")))
    assert calls["upscale"] == done + 4


def test_after_overwriting_no_older_picture_is_shown(place):
    """Pictures and parts that an earlier run with other weights left do not count as those of the measurements."""
    experiment.run(options(fine_tune_num=[1], report=True))
    plain = {"model_dir": Path("plain.npz"), "task_lr": [1e-2]}
    experiment.run(options(**plain, fine_tune_num=[1, 2], overwrite=True))
    experiment.run(options(**plain, fine_tune_num=[1], report=True))
    rows = {record["steps"]: record for record in measurements() if record["photo"] == "a.png"}
    (part,) = (json.loads(path.read_text()) for path in Path("out/report_parts").glob("a.*.json"))
    assert part["views"][2]["metrics"]["psnr_y"] == rows[1]["metrics"]["psnr_y"]
    picture = images.read_rgb8(next(Path("out/pictures").glob("*/steps_1/a.png")))
    assert psnr_y(picture, images.read_rgb8(Path("GT/a.png"))) == rows[1]["metrics"]["psnr_y"]


def test_bad_photos_and_ground_truths_are_named(place, capsys):
    Path("LQ/broken.png").write_bytes(b"no picture")
    Path("GT/a.png").unlink()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("GT/none.png")
    assert experiment.run(options(fine_tune_num=[1])) == 1
    log = capsys.readouterr().err
    assert "skipped: LQ/broken.png" in log
    assert "without a usable ground truth (2): a.png, none.png" in log
    assert "a.png: not compared: no ground truth of this name in GT" in log
    assert "GT/none.png: 8x8 pixels, but the picture to compare has 120x144" in log
    best = json.loads(Path("out/experiment.json").read_text())["best"]
    assert best["psnr_y"]["metrics"]["psnr_y"]["count"] == 1
    assert best["niqe_pyiqa"]["metrics"]["niqe_pyiqa"]["count"] == 3


def test_a_diverging_rate_counts_as_unadapted(place, capsys):
    assert experiment.run(options(task_lr=[1e-2, 100.0, 1e20])) == 0
    log = capsys.readouterr().err
    rows = {(r["photo"], r["task_lr"], r["steps"]): r for r in measurements()}
    for rate in (100.0, 1e20):
        assert f"a.png: the loss diverged with task_lr {rate}, seed 0; the unadapted picture counts" in log
        for steps in (1, 3):
            assert rows["a.png", rate, steps]["metrics"] == rows["a.png", rate, 0]["metrics"]
            assert (rows["a.png", rate, steps]["adapted"], rows["a.png", rate, steps]["steps_used"]) == (False, 0)
    assert rows["a.png", 1e-2, 3]["adapted"]
    assert len(rows["a.png", 1e-2, 3]["held_out_losses"]) == 4


def test_strengths_and_auto_share_their_inner_loops(place, calls):
    """Beside the numbers of steps: `auto` on fewer patches; strengths on the way, as test.py makes them."""
    swept = {"fine_tune_num": [1, 3, "auto:2"], "strength": [0.5, 1.0], "task_lr": [5e-2], "save_pictures": True}
    assert experiment.run(options(**swept)) == 0
    assert calls["steps"] == 2 * (3 + 2)
    rows = {(r["photo"], r["strength"], r["steps"]): r for r in measurements()}
    assert len(rows) == 3 * 2 * 4
    assert rows["a.png", 0.5, "auto:2"]["patches"] == 3
    assert len(rows["a.png", 0.5, "auto:2"]["held_out_losses"]) == 3
    for number, strength in (("auto:2", 0.5), (3, 1)):
        single = ["--input_dir", "LQ", "--face_dir", "faces", "--output_dir", f"single{strength}", "--gpu", "-1"]
        single += ["--model_dir", "model/model-1", "--fine_tune_num", number, "--strength", strength]
        single += ["--patch_size", 32, "--task_lr", 5e-2, "--patch_num_per_img", 4]
        commands.run(place, "test.py", *single)
        where = "steps_auto_2" if number == "auto:2" else "steps_3"
        loop = "task_lr_0.05-patch_size_32-patch_num_per_img_4-seed_0" + ("-strength_0.5" if strength < 1 else "")
        kept = Path("out/pictures", loop, where, "a.png").read_bytes()
        assert kept == Path(f"single{strength}", "a.png").read_bytes()
    done = dict(calls)
    assert experiment.run(options(**swept)) == 0
    assert calls == done
    with open("out/experiment.csv") as stream:
        table = [row for row in csv.DictReader(stream) if row["photo"] == "a.png"]
    assert [(row["strength"], row["steps"]) for row in table] == [
        (strength, steps) for strength in ("0.5", "1.0") for steps in ("0", "1", "3", "auto:2")
    ]
    assert all(row["loss"] for row in table)


def test_metrics_are_those_of_the_picture_with_fixed_colours(place):
    photo = np.asarray(Image.open("LQ/a.png")).mean(axis=(0, 1))
    Path("LQ/b.png").unlink()
    Path("LQ/none.png").unlink()
    apart = []
    for color_fix in ("none", "lowpass"):
        output = Path(color_fix)
        once = {"fine_tune_num": [1], "save_pictures": True, "output_dir": output}
        assert experiment.run(options(color_fix=color_fix, **once)) == 0
        picture = images.read_rgb8(output / "pictures/unadapted/a.png")
        apart.append(np.abs(picture.mean(axis=(0, 1)) - photo).max())
        lines = (output / "measurements.jsonl").read_text().splitlines()
        record = next(r for r in map(json.loads, lines) if (r["photo"], r["steps"]) == ("a.png", 0))
        assert record["metrics"]["psnr_y"] == pytest.approx(psnr_y(picture, images.read_rgb8(Path("GT/a.png"))))
    assert 20 * apart[1] < apart[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_dir": Path("LQ")}, "output_dir=LQ: is the folder of the photos"),
        ({"fine_tune_num": [0]}, "--fine_tune_num 0: nothing to compare"),
        ({"task_lr": [-1.0]}, "task_lr=-1: a positive number"),
        ({"patch_size": [64, 30]}, "patch_size=30: a multiple of 4"),
        ({"patch_num_per_img": [0]}, "patch_num_per_img=0: at least 1"),
        ({"face_dir": Path("LQ")}, "there is no Face_LQ in it"),
        ({"gt_dir": Path("nowhere")}, "gt_dir=nowhere: no such folder"),
    ],
)
def test_mistakes(place, changes, message):
    with pytest.raises(UserError, match=message):
        experiment.run(options(**changes))


def test_nothing_to_measure(place):
    Path("weights").unlink()
    with pytest.raises(UserError, match="no metric can be computed. Remedy: --gt_dir"):
        experiment.run(options(gt_dir=None))


def test_killed_in_the_middle_it_goes_on(place):
    """After kill -9 everything left is whole, and the next run does the rest."""
    for index in range(5):
        shutil.copy("LQ/a.png", f"LQ/p{index:02}.png")
    flags = ["--input_dir", "LQ", "--face_dir", "faces", "--output_dir", "out", "--model_dir", "model/model-1"]
    flags += ["--fine_tune_num", "1", "--patch_size", "32", "--seeds", "0,1,2", "--save_pictures", "--gpu", "-1"]
    process = subprocess.Popen(
        commands.command("scripts/fine_tune_experiment.py", *flags), stderr=subprocess.PIPE, text=True
    )
    while not Path("out/pictures/unadapted/p01.png").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    left = measurements()
    assert 0 < len(left) < 8 * 3 * 2
    for path in Path("out/pictures").rglob("*.png"):
        if not path.name.startswith("."):
            assert images.read_photo(path).size == (144, 120)
    commands.run(place, "scripts/fine_tune_experiment.py", *flags)
    assert len(measurements()) == 8 * 3 * 2
    assert {json.dumps(record) for record in left} <= {json.dumps(record) for record in measurements()}


def test_report(place):
    """Pictures of earlier runs are shown, too, and photos that were done without it are done for it."""
    experiment.run(options(fine_tune_num=[1]))
    assert experiment.run(options(fine_tune_num=[1], report=True, seeds=[0, 1])) == 0
    html = Path("out/report.html").read_text()
    assert "best psnr_y: " in html
    (part,) = Path("out/report_parts").glob("a.*.json")
    part = json.loads(part.read_text())
    assert [view["label"] for view in part["views"]] == ["LQ, bicubic", "unadapted", "1 step", "GT"]
    assert [curve["label"] for curve in part["losses"]] == ["seed 0", "seed 1"]
    assert len(part["faces"]) == 1
    assert part["faces"][0]["weights"]
    assert part["views"][2]["metrics"]["psnr_y"] == next(r for r in measurements() if r["steps"])["metrics"]["psnr_y"]


def test_the_page_made_anew_is_the_same(place):
    experiment.run(options(fine_tune_num=[2, "auto:2"], strength=[0.5, 1.0], seeds=[1, 0], report=True))
    page = Path("out/report.html").read_bytes()
    Path("out/report.html").unlink()
    assert report.run(Path("out"), Path("out/report.html")) == 0
    assert Path("out/report.html").read_bytes() == page
    lines = Path("out/measurements.jsonl").read_text().splitlines(keepends=True)
    Path("out/measurements.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(UserError, match=r"measurements.jsonl: lacks some of experiment.json. Remedy: run the exp"):
        report.run(Path("out"), Path("out/report.html"))
    Path("out/experiment.json").write_text('{"photos": 5}')
    with pytest.raises(UserError, match="experiment.json: cannot be read: .*photos.* Remedy: run the experiment again"):
        report.run(Path("out"), Path("out/report.html"))
