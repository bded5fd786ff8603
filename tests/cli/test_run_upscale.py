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
from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import folder
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


def test_a_restorers_own_weights_count_by_content(go, sample_lq):
    shutil.copy(sample_lq, "LQ/a.png")
    found_here = {"face_dir": None, "detector": "mtcnn", "restorer": "faces_lite:faces.npz"}
    npz.write_npz(Path("faces.npz"), srvgg_weights.make_tiny())
    go(**found_here)
    first = records()["a.png"]
    assert (first["faces"], first["detector"], first["restorer"]) == (1, "mtcnn", "faces_lite")
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
