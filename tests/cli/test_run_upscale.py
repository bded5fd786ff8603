"""`test.py` within this process: what it keeps, what it makes anew, how it judges the steps."""

import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import recipe
import srvgg_weights
from PIL import Image

from metaf2n_tf import tiles
from metaf2n_tf.commands.runs import report, upscale
from metaf2n_tf.data import formats, images, size
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
from metaf2n_tf.faces.finder import FaceFinder
from metaf2n_tf.finish import outscale
from metaf2n_tf.report import photo
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights import npz

pytestmark = pytest.mark.usefixtures("speaking")

OPTIONS = upscale.Options(
    input_dir=Path("LQ"),
    face_dir=Path("faces"),
    output_dir=Path("out"),
    model_dir=Path("model.npz"),
    blend=None,
    patch_size=32,
    patch_num_per_img=8,
    fine_tune_num=[1],
    strength=[1.0],
    task_lr=2e-2,
    seed=0,
    tile=256,
    tile_pad=None,
    precision="float32",
    detector=None,
    restorer=None,
    min_face=0,
    paste_faces=False,
    paste_strength=1.0,
    color_fix="none",
    recursive=False,
    ext=[],
    overwrite=False,
    report=False,
    gt_dir=None,
    gpu="-1",
)


def write_face(name, seed, index=0):
    hq = images.to_levels(recipe.image((96, 80, 3), seed))
    lq = cv2.resize(hq, (20, 24), interpolation=cv2.INTER_AREA)
    pairs = {**dict(enumerate(folder.read_pairs(Path("faces"), Path(name)))), index: (lq, hq)}
    sides = zip((folder.LQ, folder.HQ), zip(*pairs.values(), strict=True), strict=True)
    folder.write_pictures(Path("faces"), Path(name), {side: dict(enumerate(faces)) for side, faces in sides})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A photo with a face, one without, a small network."""
    monkeypatch.chdir(tmp_path)
    Path("LQ").mkdir()
    for seed, name in enumerate(["a.png", "none.png"]):
        Image.fromarray(images.to_levels(recipe.image((24, 20, 3), seed))).save(Path("LQ", name))
    write_face("a.png", 2)
    npz.write_npz(Path("model.npz"), srvgg_weights.make_tiny())
    return tmp_path


@pytest.fixture
def go(place, capsys):
    def go(code=0, **changes):
        assert upscale.run(dataclasses.replace(OPTIONS, **changes)) == code
        return capsys.readouterr().err

    return go


def records():
    return {record["photo"]: record for record in map(json.loads, Path("out/results.jsonl").read_text().splitlines())}


def result(*parts):
    return Path("out", *parts).read_bytes()


CHANGES = {
    "nothing": (None, {}, []),
    "another photo": (lambda: shutil.copy("LQ/none.png", "LQ/a.png"), {}, ["inputs"]),
    "another face": (lambda: write_face("a.png", 5), {}, ["inputs"]),
    "a further face": (lambda: write_face("a.png", 5, index=1), {}, ["inputs"]),
    "other weights of that name": (lambda: shutil.copy("other.npz", "model.npz"), {}, ["weights"]),
    "a result that was cut": (lambda: Path("out/a.png").write_bytes(result("a.png")[:50]), {}, ["results"]),
    "a result that is gone": (lambda: Path("out/a.png").unlink(), {}, ["results"]),
    "patch_size": (None, {"patch_size": 40}, ["patch_size"]),
    "patch_num_per_img": (None, {"patch_num_per_img": 4}, ["patch_num_per_img"]),
    "fine_tune_num": (None, {"fine_tune_num": [2]}, ["fine_tune_num"]),
    "auto": (None, {"fine_tune_num": ["auto:2"]}, ["fine_tune_num"]),
    "strength": (None, {"strength": [0.5]}, ["strength"]),
    "the default task_lr instead of one's own": (None, {"task_lr": None}, ["task_lr"]),
    "seed": (None, {"seed": 1}, ["seed"]),
    "tile": (None, {"tile": 32}, ["tile"]),
    "tile_pad": (None, {"tile_pad": 3}, ["tile_pad"]),
    "precision": (None, {"precision": "bfloat16"}, ["precision"]),
    "blend": (None, {"blend": "other.npz:0.5"}, ["weights"]),
    "min_face": (None, {"min_face": 8}, ["min_face"]),
    "paste_faces": (None, {"paste_faces": True}, ["paste_faces"]),
    "paste_strength": (None, {"paste_faces": True, "paste_strength": 0.5}, ["paste_faces", "paste_strength"]),
    "color_fix": (None, {"color_fix": "lowpass"}, ["color_fix"]),
    "outscale": (None, {"outscale": 2.0}, ["outscale"]),
    "format": (None, {"format": "tiff"}, ["format", "results"]),
    "quality": (None, {"format": "jpg", "quality": 80}, ["format", "quality", "results"]),
}


def test_everything_that_decides_a_result_is_compared_with_its_record(go, tmp_path, monkeypatch):
    npz.write_npz(Path("other.npz"), srvgg_weights.make_tiny(seed=7))
    go()
    record = records()["a.png"]
    for number, (what, (how, options, expected)) in enumerate(CHANGES.items()):
        copy = tmp_path.with_name(f"{tmp_path.name}-{number}")
        shutil.copytree(tmp_path, copy)
        monkeypatch.chdir(copy)
        if how:
            how()
        session = upscale.Session(dataclasses.replace(OPTIONS, **options), "CPU", None)
        assert session.changes(Path("a.png"), record) == expected, what


def test_what_has_changed_is_made_anew_as_if_nothing_had_been_there(go):
    go()
    write_face("a.png", 5)
    log = go()
    assert "1 photo has its results already" in log
    assert "1 photo is made anew, as these are not those of the record: inputs\n" in log
    go(output_dir=Path("fresh"))
    assert result("a.png") == Path("fresh/a.png").read_bytes()
    Path("out/a.png").write_bytes(result("a.png")[:50])
    assert "not those of the record: results, seed\n" in go(seed=1)
    go(output_dir=Path("fresh"), seed=1)
    assert result("a.png") == Path("fresh/a.png").read_bytes()
    assert "2 photos have their results already" in go(seed=1)


def test_what_auto_has_chosen_is_on_record_and_counts_as_done_elsewhere(go, monkeypatch):
    """A rerun on a processor that would choose otherwise keeps what is there; another precision does not."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(tiles.SuperResolver, "_choose", lambda *_: "bfloat16")
        go(precision="auto")
    chosen = result("a.png")
    assert {key: records()["a.png"][key] for key in ("precision", "precision_used")} == {
        "precision": "auto",
        "precision_used": "bfloat16",
    }
    assert "2 photos have their results already" in go(precision="auto")
    assert "not those of the record: precision\n" in go(precision="bfloat16")
    assert result("a.png") == chosen
    assert records()["a.png"]["precision_used"] == "bfloat16"


def test_names_of_equal_content_do_not_count(go):
    """Nor do flags that decide no pixel."""
    go(task_lr=None)
    assert (records()["none.png"]["steps_used"], records()["none.png"]["adapted"]) == ({"1": 0}, False)
    for name in ("LQ", "faces"):
        shutil.copytree(name, f"other_{name}")
    shutil.copy("model.npz", "same.npz")
    places = {"input_dir": Path("other_LQ"), "face_dir": Path("other_faces"), "model_dir": Path("same.npz")}
    log = go(**places, task_lr=1e-2, tile_pad=4, recursive=True, ext=["png"])  # the defaults, by their values
    assert "2 photos have their results already" in log
    assert "anew, as" not in log


def test_a_restorers_own_weights_count_by_content(go, sample_lq, monkeypatch):
    """And are not loaded, nor is the detector, where all results are there."""
    shutil.copy(sample_lq, "LQ/a.png")
    found_here = {"face_dir": None, "detector": "mtcnn", "restorer": "faces_lite:faces.npz"}
    npz.write_npz(Path("faces.npz"), srvgg_weights.make_tiny())
    go(**found_here)
    first = records()["a.png"]
    assert (first["faces"], first["detector"], first["restorer"]) == (1, "mtcnn", "faces_lite")
    with monkeypatch.context() as patched:
        patched.setattr(FaceFinder, "load", None)  # to be called by nobody
        assert "2 photos have their results already" in go(**found_here)
    npz.write_npz(Path("faces.npz"), srvgg_weights.make_tiny(seed=8))
    assert "2 photos are made anew, as these are not those of the record: restorer_weights\n" in go(**found_here)
    assert records()["a.png"]["restorer_weights"] != first["restorer_weights"]
    shutil.copy("faces.npz", "moved.npz")
    assert "2 photos have their results already" in go(**found_here | {"restorer": "faces_lite:moved.npz"})


def test_records_that_say_nothing(go):
    """Damaged ones: made again. None at all: another program's pictures, which stay."""
    go()
    before = result("a.png")
    Path("out/results.jsonl").write_bytes(b'\xff\xfe{"photo": 5}\n[]\n{"photo": "a.png", "inputs": [1]}\n')
    assert "1 photo is made anew" in go()
    assert result("a.png") == before
    assert set(records()) == {"a.png", "none.png"}
    Path("out/results.jsonl").unlink()
    Path("out/a.png").write_bytes(b"another program's")
    log = go()
    assert "2 photos have their results already" in log
    assert "there is no results.jsonl beside them" in log
    assert result("a.png") == b"another program's"
    go(overwrite=True)
    assert result("a.png") == before


def test_every_number_of_steps_is_judged_by_itself(go):
    """The rate of the report that led here: a first step that ruins, and later ones that are not even numbers."""
    log = go(task_lr=50.0, fine_tune_num=[0, 1, 3])
    assert "a.png: the loss diverged (" in log
    assert "unadapted weights are used. Remedy: a lower task_lr" in log
    record = records()["a.png"]
    assert record["steps_used"] == {"0": 0, "1": 0, "3": 0}
    assert (record["adapted"], record["note"]) == (False, log.split("a.png: ")[1].split("\n")[0])
    assert record["losses"][1] > record["losses"][0]
    assert result("steps_0", "a.png") == result("steps_1", "a.png") == result("steps_3", "a.png")
    log = go(task_lr=1e20, fine_tune_num=[2])
    assert (records()["a.png"]["losses"][-1], records()["a.png"]["steps_used"]) == (None, {"2": 0})
    with pytest.raises(UserError, match="task_lr=inf: a positive number"):
        go(task_lr=float("inf"))


def test_auto(go):
    """Its steps are those of the lowest held-out loss, on every run, and the picture is theirs."""
    log = go(fine_tune_num=["auto:4"])
    record = records()["a.png"]
    judged, steps = record["held_out_losses"], record["steps_used"]["auto:4"]
    assert (record["patches"], len(judged), steps) == (6, 5, int(np.argmin(judged)))
    assert steps > 0
    assert f"a.png: auto takes {steps} steps of at most 4, held-out loss" in log
    assert (record["fine_tune_num"], record["adapted"]) == (["auto:4"], True)
    found = result("a.png")
    go(fine_tune_num=["auto:4"], overwrite=True)
    assert result("a.png") == found
    log = go(fine_tune_num=["auto:2"], patch_num_per_img=1)
    assert "a.png: a single patch leaves none to judge the steps by, so auto makes none" in log
    go(fine_tune_num=[0], output_dir=Path("unadapted"))
    assert result("a.png") == Path("unadapted/a.png").read_bytes()
    with pytest.raises(UserError, match="--fine_tune_num auto: stands alone"):
        go(fine_tune_num=[0, "auto:4"])


def test_several_strengths_are_one_pass(go, monkeypatch):
    calls, once = [], MetaF2N.upscale
    monkeypatch.setattr(MetaF2N, "upscale", lambda *arguments: calls.append(1) or once(*arguments))
    go(fine_tune_num=[0, 2], strength=[0.0, 0.5, 1.0], task_lr=5e-2)
    assert len(calls) == 1 + 2 + 1  # unadapted, half and whole of 2 steps; the photo without a face
    names = [f"steps_{n}-strength_{s}" for n in (0, 2) for s in ("0", "0.5", "1")]
    assert sorted(path.name for path in Path("out").iterdir() if path.is_dir()) == names
    pictures = [result(name, "a.png") for name in names]
    assert len(set(pictures[:4])) == 1
    assert len(set(pictures[3:])) == 3
    assert "2 photos have their results already" in go(fine_tune_num=[0, 2], strength=[0.0, 0.5, 1.0], task_lr=5e-2)
    shutil.rmtree("out")
    go(fine_tune_num=[2], strength=[0.5], task_lr=5e-2)
    assert result("a.png") == pictures[4]
    go(fine_tune_num=["auto:2"], strength=[0.0, 1.0], task_lr=5e-2)
    assert result("strength_0", "a.png") == pictures[0]
    with pytest.raises(UserError, match="strength=1.5: from 0"):
        go(strength=[1.5])


def views_of(name):
    part = json.loads(Path("out/report_parts", name).with_suffix(".json").read_text())
    return [view["label"] for view in part["views"]]


def pixels(*parts):
    return np.asarray(Image.open(Path("out", *parts))).astype(int)


def test_restored_faces_are_pasted_where_they_were_cut(go):
    photo = np.asarray(Image.open("LQ/a.png"))
    red = np.full((64, 48, 3), (255, 0, 0), np.uint8)
    folder.write_pictures(Path("faces"), Path("a.png"), {folder.LQ: {0: photo[6:22, 4:16]}, folder.HQ: {0: red}})
    go()
    plain = pixels("a.png")
    go(paste_faces=True, report=True)
    pasted = pixels("a.png")
    assert (records()["a.png"]["faces_pasted"], records()["none.png"]["faces_pasted"]) == (1, 0)
    assert (pasted[56, 40] == (255, 0, 0)).all()  # rows 24 to 88, columns 16 to 64
    outside = np.ones(plain.shape[:2], bool)
    outside[24:88, 16:64] = False
    assert (pasted[outside] == plain[outside]).all()
    assert (
        views_of("a.png")
        == views_of("none.png")
        == [
            "LQ, bicubic",
            "unadapted, no face pasted",
            "unadapted",
            "1 step, no face pasted",
            "1 step",
        ]
    )
    go(paste_faces=True, paste_strength=0.0)
    assert (pixels("a.png") == plain).all()
    assert records()["a.png"]["faces_pasted"] == 0
    go(paste_faces=True, fine_tune_num=[0])
    assert (pixels("a.png")[56, 40] == (255, 0, 0)).all()
    go(paste_faces=True, min_face=13)
    assert (records()["a.png"]["faces"], records()["a.png"]["faces_pasted"]) == (0, 0)


def test_a_face_that_is_no_part_of_the_photo_is_not_pasted(go):
    log = go(paste_faces=True)
    assert "a.png: 1 face of its folder is no part of the photo, so not pasted" in log
    assert records()["a.png"]["faces_pasted"] == 0
    pasted = result("a.png")
    go()
    assert result("a.png") == pasted


def test_a_result_gets_the_photos_colours(go):
    def tint(name):
        reduced = pixels(name).reshape(24, 4, 20, 4, 3).mean(axis=(1, 3))
        return np.abs((reduced - np.asarray(Image.open(f"LQ/{name}"))).mean(axis=(0, 1))).max()

    go()
    assert tint("a.png") > 2
    go(color_fix="lowpass")
    assert tint("a.png") < 1


@pytest.mark.parametrize("strength", [float("nan"), -1.0, 2.0])
def test_impossible_opacities(go, strength):
    with pytest.raises(UserError, match="paste_strength="):
        go(paste_faces=True, paste_strength=strength)
    with pytest.raises(UserError, match="paste_strength: is for paste_faces"):
        go(paste_strength=0.5)


def test_the_page_made_anew_is_the_same(go):
    """From what lies in the folder alone, byte for byte and in the photos' order; also where the records are gone."""
    Path("LQ/sub").mkdir()
    for name in ("sub-x.png", "sub/b.png"):
        shutil.copy("LQ/none.png", f"LQ/{name}")
    go(report=True, recursive=True, fine_tune_num=[0, 1])
    page = result("report.html")
    Path("out/report.html").unlink()
    assert report.run(Path("out"), Path("out/report.html")) == 0
    assert result("report.html") == page
    assert "4 photos have their results already" in go(report=True, recursive=True, fine_tune_num=[0, 1])
    assert report.run(Path("out"), Path("elsewhere/page.html")) == 0
    assert Path("elsewhere/page.html").read_bytes() == result("report.html") == page
    Path("out/results.jsonl").unlink()
    assert report.run(Path("out"), Path("out/report.html")) == 0
    assert result("report.html").count(b'id="photo-') == page.count(b'id="photo-') == 4
    shutil.rmtree("out/report_parts")
    with pytest.raises(UserError, match="^out: there is no report_parts in it. Remedy: run upscale with --report$"):
        report.run(Path("out"), Path("out/report.html"))


@pytest.mark.parametrize("scale", [0.5, 2.5, 6.0])
def test_another_scale_is_the_x4_picture_resized(go, scale):
    go()
    go(output_dir=Path("other"), outscale=scale)
    for name in ("a.png", "none.png"):
        expected = outscale.resize(images.read_rgb8(Path("out", name)), scale)
        np.testing.assert_array_equal(images.read_rgb8(Path("other", name)), expected)
        assert expected.shape[:2] == (24 * scale, 20 * scale)
    assert "2 photos have their results already" in go(output_dir=Path("other"), outscale=scale)
    assert "not those of the record: outscale\n" in go(outscale=scale)
    assert result("a.png") == Path("other/a.png").read_bytes()


def test_an_impossible_scale_or_quality_is_refused(go):
    for scale in (float("nan"), 0.0, -1.0, 1e30):
        with pytest.raises(UserError, match=r"^outscale=\S+: from 0.5 to 8$"):
            go(outscale=scale)
    with pytest.raises(UserError, match="^quality=90: PNG files lose nothing"):
        go(quality=90)
    assert not Path("out").exists()


def test_alpha_and_resolution_follow_the_scale(go):
    levels = np.dstack([np.asarray(Image.open("LQ/a.png")), np.full((24, 20), 128, np.uint8)])
    Image.fromarray(levels).save("LQ/a.png", dpi=(100, 100))
    go(outscale=2.5)
    with Image.open("out/a.png") as image:
        assert (image.mode, image.size) == ("RGBA", (50, 60))
        assert image.info["dpi"] == pytest.approx((250, 250), abs=0.02)
        assert set(image.getchannel("A").getdata()) == {128}


def test_limits_hold_for_the_x4_picture_and_for_the_result(go, monkeypatch):
    monkeypatch.setattr(size, "_limit", 0.02)  # x8 is 192x160
    assert "a.png: what is made of it: 160x192 pixels are more than" in go(code=1, outscale=8.0)
    monkeypatch.setattr(size, "_limit", 0.005)  # x4 is 96x80
    assert "a.png: what is made of it: 80x96 pixels are more than" in go(code=1, outscale=0.5)
    monkeypatch.setattr(MetaF2N, "upscale", lambda *_: pytest.fail("computed"))
    monkeypatch.setattr(size, "_limit", size.MAX_MEGAPIXELS)
    monkeypatch.setitem(formats.FORMATS, "webp", dataclasses.replace(formats.FORMATS["webp"], longest=90))
    log = go(code=1, format="webp")
    assert "a.png: a result of 80x96 pixels is longer than WebP files can be (90). Remedy: " in log


def test_another_format_is_made_anew_beside_the_old(go):
    go()
    png = result("a.png")
    log = go(format="jpg", quality=90)
    assert "2 photos are made anew, as these are not those of the record: format, quality, results\n" in log
    assert result("a.png") == png
    assert list(records()["a.png"]["results"]) == ["a.jpg"]
    assert (records()["a.png"]["format"], records()["a.png"]["quality"]) == ("jpg", 90)
    assert "2 photos have their results already" in go(format="jpg", quality=90)
    with Image.open("out/a.jpg") as image:
        off = np.asarray(image).astype(int) - images.read_rgb8(Path("out/a.png"))
        assert (image.format, np.abs(off).mean() < 8) == ("JPEG", True)
    go(format="tiff", fine_tune_num=[0, 1])
    np.testing.assert_array_equal(images.read_rgb8(Path("out/steps_1/a.tiff")), images.read_rgb8(Path("out/a.png")))
    Path("more/steps_0").mkdir(parents=True)
    Image.open("LQ/none.png").save("more/steps_0/b.webp")
    places = {"input_dir": Path("more/steps_0"), "output_dir": Path("more"), "fine_tune_num": [0, 1]}
    with pytest.raises(UserError, match=r"more/steps_0/b.webp would be overwritten by its result"):
        go(format="webp", **places)


def test_what_a_format_cannot_keep_is_said_once(go):
    for name in ("a.png", "none.png"):
        levels = np.dstack([np.asarray(Image.open(f"LQ/{name}")), np.full((24, 20), 128, np.uint8)])
        Image.fromarray(levels).save(f"LQ/{name}")
    assert go(format="jpg").count("a.png: as JPEG, what is transparent is put on white (said once)\n") == 1
    assert "none.png: as JPEG" not in go(format="jpg", overwrite=True)
    assert "transparent" not in go(format="tiff", overwrite=True)


def test_the_report_compares_at_the_results_size(go):
    Path("GT").mkdir()
    small, large = (images.to_levels(recipe.image((24 * k, 20 * k, 3), 0)) for k in (2, 4))
    Image.fromarray(small).save("GT/a.png")
    Image.fromarray(large).save("GT/none.png")
    log = go(outscale=2.0, report=True, gt_dir=Path("GT"), format="webp")
    assert "none.png: not compared: GT/none.png: 80x96 pixels, but the picture to compare has 40x48" in log
    assert "a.png: not compared" not in log.replace("none.png", "")
    part = photo.decode_photo(Path("out/report_parts/a.json").read_bytes())
    assert [view["label"] for view in part["views"]] == ["LQ, bicubic", "unadapted", "1 step", "GT"]
    assert {tuple(view["size"]) for view in part["views"]} == {(48, 40)}
    assert records()["a.png"]["metrics"]["1 step"]["psnr_y"] > 10
    go(outscale=0.5, report=True, gt_dir=Path("GT"), output_dir=Path("half"))
    part = photo.decode_photo(Path("half/report_parts/a.json").read_bytes())
    assert {tuple(view["size"]) for view in part["views"]} == {(12, 10)}
