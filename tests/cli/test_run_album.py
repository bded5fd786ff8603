"""`--adapt album` and `--save_weights` of `test.py`, within this process."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import recipe
import srvgg_weights
from PIL import Image
from test_run_upscale import OPTIONS, write_face

from metaf2n_tf.commands.runs import upscale
from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.upscale.face_source import FaceSource
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.load import RATE_SCOPE, load_weights

pytestmark = pytest.mark.usefixtures("speaking")

ALBUM = {"adapt": "album:64"}


def write_photo(name, seed):
    Path("LQ", name).parent.mkdir(exist_ok=True)
    Image.fromarray(images.to_levels(recipe.image((24, 20, 3), seed))).save(Path("LQ", name))


@pytest.fixture
def go(tmp_path, monkeypatch, capsys):
    """Two photos with a face, one without, a small network."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(["a.png", "b.png", "none.png"]):
        write_photo(name, seed)
    write_face("a.png", 12)
    write_face("b.png", 14)
    npz.write_npz(Path("model.npz"), srvgg_weights.make_tiny())

    def go(code=0, **changes):
        assert upscale.run(dataclasses.replace(OPTIONS, **changes)) == code
        return capsys.readouterr().err

    return go


def records():
    return {record["photo"]: record for record in map(json.loads, Path("out/results.jsonl").read_text().splitlines())}


def pictures(folder="out"):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.png")}


def watched(monkeypatch):
    """The photos whose faces are asked for from now on."""
    asked, faces = [], FaceSource.faces
    monkeypatch.setattr(
        FaceSource, "faces", lambda self, name, *more, **named: asked.append(name) or faces(self, name, *more, **named)
    )
    return asked


def keep_only(name):
    for path in Path("LQ").iterdir():
        if path.name != name:
            path.unlink()


@pytest.mark.parametrize(
    "asked",
    [{"fine_tune_num": [0, 1, 3], "strength": [0.5, 1.0]}, {"fine_tune_num": ["auto:3"]}],
    ids=["numbers", "auto"],
)
def test_an_album_of_one_photo_gives_what_the_photo_gives(go, asked):
    keep_only("a.png")
    write_face("a.png", 16, index=1)
    go(**asked, output_dir=Path("alone"))
    log = go(**asked, **ALBUM)
    assert pictures() == pictures("alone")
    assert len(set(pictures().values())) == len(pictures()) - ("strength" in asked)  # of no step twice
    assert ("album: adapted to 16 patches of 2 faces in 1 of 1 photo\n" in log) == ("strength" in asked)


def test_all_photos_have_the_weights_of_all_faces(go):
    """Also the one without a face; what was said of the album is said once."""
    go(output_dir=Path("alone"))
    log = go(**ALBUM)
    assert log.count("album: adapted to 16 patches of 2 faces in 2 of 3 photos\n") == 1
    found = records()
    assert {(record["patches"], record["adapted"], *record["losses"]) for record in found.values()} == {
        (16, True, *found["a.png"]["losses"])
    }
    assert [found[name]["faces"] for name in sorted(found)] == [1, 1, 0]
    assert {record["adapt"] for record in found.values()} == {"album:64"}
    assert not set(pictures().values()) & set(pictures("alone").values())
    assert "the loss diverged" in go(**ALBUM, task_lr=50.0)
    assert len({record["note"] for record in records().values()}) == 1
    assert "album: adapted to 4 patches of 2 faces" in go(adapt="album:2")


def test_the_album_is_what_it_was_made_of(go):
    go(**ALBUM)
    assert "3 photos have their results already" in go(**ALBUM)
    first = pictures()
    write_photo("c.png", 5)
    log = go(**ALBUM)
    assert "3 photos are made anew, as these are not those of the record: album\n" in log
    assert pictures().items() > first.items()  # it has no face
    write_face("c.png", 18)
    log = go(**ALBUM)
    assert "4 photos are made anew, as these are not those of the record: album, inputs\n" in log
    assert not set(pictures().values()) & set(first.values())
    go(**ALBUM, output_dir=Path("fresh"))
    assert pictures() == pictures("fresh")
    Path("out/b.png").unlink()
    assert "1 photo is made anew, as these are not those of the record: results\n" in go(**ALBUM)
    assert pictures() == pictures("fresh")
    assert "made anew, as these are not those of the record: adapt\n" in go(adapt="album:2")
    assert "made anew, as these are not those of the record: adapt\n" in go()


def test_the_order_of_the_photos_does_not_matter(go, monkeypatch):
    write_photo("sub/c.png", 7)
    log = go(**ALBUM, recursive=True)
    assert "in 2 of 4 photos" in log
    listed = upscale.folder.list_photos
    monkeypatch.setattr(upscale.folder, "list_photos", lambda *args: (listed(*args)[0], listed(*args)[1][::-1]))
    go(**ALBUM, recursive=True, output_dir=Path("other"))
    assert pictures() == pictures("other")


def test_a_photo_that_cannot_be_read_is_said_once_and_left_out(go):
    go(**ALBUM)
    expected = pictures()
    Path("LQ/bad.png").write_bytes(b"no picture")
    Path("LQ/lost.png").symlink_to("nowhere")
    log = go(1, **ALBUM)
    assert log.count("skipped: ") == log.count("skipped: LQ/bad.png") + log.count("skipped: LQ/lost.png") == 2
    assert "in 2 of 3 photos" in log
    assert pictures() == expected


def test_photos_that_cannot_be_read_do_not_have_the_others_looked_at_again(go, monkeypatch):
    Path("LQ/bad.png").write_bytes(b"no picture")
    asked = watched(monkeypatch)
    go(1, **ALBUM)
    assert sorted(map(str, asked)) == ["a.png", "b.png", "none.png"]
    asked.clear()
    log = go(1, **ALBUM)
    assert asked == []
    assert "bad.png" in log


def test_faces_are_found_once(go, sample_lq, monkeypatch):
    """Also where the report shows them."""
    keep_only("none.png")
    for name in ("a.png", "b.png"):
        shutil.copy(sample_lq, f"LQ/{name}")
    asked = watched(monkeypatch)
    found_here = {"face_dir": None, "detector": "mtcnn", "restorer": "self_ensemble", "report": True}
    log = go(**ALBUM, **found_here, patch_size=64)
    assert sorted(map(str, asked)) == ["a.png", "b.png", "none.png"]
    assert "album: adapted to 16 patches of 2 faces in 2 of 3 photos" in log
    parts = {path.stem: json.loads(path.read_text()) for path in Path("out/report_parts").iterdir()}
    assert [len(parts[name]["faces"]) for name in ("a", "b", "none")] == [1, 1, 0]
    assert parts["none"]["losses"] == parts["a"]["losses"] != []


def test_no_face_in_any_photo(go):
    shutil.rmtree("faces")
    Path("faces/Face_LQ").mkdir(parents=True)
    log = go(**ALBUM)
    assert log.count("no face in any photo, so super-resolved unadapted") == 1
    assert {record["adapted"] for record in records().values()} == {False}
    go(fine_tune_num=[0], output_dir=Path("unadapted"))
    assert pictures() == pictures("unadapted")


def test_saved_weights_of_an_album_give_its_results_without_faces(go):
    """At 0 steps, from float32 weights that hold all that adapting further needs."""
    log = go(**ALBUM, fine_tune_num=[1, 2], save_weights=Path("kept/w.npz"))
    for steps in (1, 2):
        kept = Path(f"kept/steps_{steps}/w.npz")
        log = go(model_dir=kept, face_dir=None, fine_tune_num=[0], output_dir=Path(f"again_{steps}"))
        assert "detector" not in log
        assert pictures(f"again_{steps}") == pictures(f"out/steps_{steps}")
    assert set(pictures("again_1").values()).isdisjoint(pictures("again_2").values())
    again = {"fine_tune_num": [1, 2], "save_weights": Path("kept/w.npz")}
    assert "3 photos have their results already" in go(**ALBUM, **again)
    Path("kept/steps_2/w.npz").unlink()
    assert "3 photos are made anew, as these are not those of the record: saved_weights\n" in go(**ALBUM, **again)
    assert "3 photos have their results already" in go(**ALBUM, fine_tune_num=[1, 2])
    assert Path("kept/steps_2/w.npz").is_file()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_kinds_of_files_give_the_same_bytes(go, golden_mask, suffix):
    """What they have no place for is said once for all photos."""
    npz.write_npz(Path("model.npz"), srvgg_weights.make_tiny() | golden_mask)
    log = go(save_weights=Path(f"kept/NAME{suffix}"))
    assert log.count("the SR network without MaskNet") == 1
    one = {"input_dir": Path("LQ/a.png"), "face_dir": None, "fine_tune_num": [0], "output_dir": Path("again")}
    go(**one, model_dir=Path(f"kept/a{suffix}"))
    assert Path("again/a.png").read_bytes() == Path("out/a.png").read_bytes()


def test_mask_and_rates_are_kept(go, golden_mask):
    weights = srvgg_weights.make_tiny()
    rates = {f"{RATE_SCOPE}/{name}": np.float32(np.log(1e-2) + 0.1 * number) for number, name in enumerate(weights)}
    npz.write_npz(Path("model.npz"), weights | golden_mask | rates)
    go(**ALBUM, task_lr=None, save_weights=Path("w.npz"))
    kept, loaded = load_weights("w.npz"), load_weights("model.npz")
    assert kept.kind == loaded.kind == "meta-trained"
    for name, value in (loaded.mask | loaded.log_rates).items():
        np.testing.assert_array_equal(kept.variables[name], value)
    assert all(value.dtype == np.float32 and np.any(value != loaded.sr[name]) for name, value in kept.sr.items())


def test_saved_weights_of_each_photo(go):
    write_photo("sub/c.png", 7)
    asked = {"fine_tune_num": [0, 1], "save_weights": Path("kept/NAME_w.npz"), "recursive": True}
    go(**asked)
    found = sorted(path.relative_to("kept").as_posix() for path in Path("kept").rglob("*.npz"))
    assert found == sorted(f"steps_{n}/{name}_w.npz" for n in (0, 1) for name in ("a", "b", "none", "sub/c"))
    for name, start in (("a", "steps_1"), ("b", "steps_1"), ("sub/c", "steps_1"), ("a", "steps_0")):
        photo = {"input_dir": Path(f"LQ/{name}.png"), "output_dir": Path("again")}
        go(model_dir=Path(f"kept/{start}/{name}_w.npz"), face_dir=None, fine_tune_num=[0], **photo, overwrite=True)
        assert Path(f"again/{Path(name).name}.png").read_bytes() == Path(f"out/{start}/{name}.png").read_bytes()
    assert "4 photos have their results already" in go(**asked)
    content = Path("kept/steps_1/b_w.npz").read_bytes()
    Path("kept/steps_1/b_w.npz").write_bytes(content[:-1])
    assert "1 photo is made anew, as these are not those of the record: saved_weights\n" in go(**asked)
    assert Path("kept/steps_1/b_w.npz").read_bytes() == content
    shutil.move("kept", "moved")
    assert "4 photos have their results already" in go(**asked | {"save_weights": Path("moved/NAME_w.npz")})


def test_saved_weights_of_a_photo_beside_it(go):
    """Where there are no records: the weights are made if they are not there."""
    one = {"input_dir": Path("LQ/a.png"), "output_dir": Path("LQ"), "suffix": "_x4", "save_weights": Path("LQ/w.npz")}
    go(**one)
    first = Path("LQ/w.npz").read_bytes()
    assert "1 photo has its results already" in go(**one)
    Path("LQ/w.npz").unlink()
    assert "already" not in go(**one)
    assert Path("LQ/w.npz").read_bytes() == first


REFUSED = {
    "of a kind that is not known": ("w.h5", {}, "the name of a .npz or .pth or .safetensors file"),
    "of no kind": ("w", {}, "the name of a .npz or .pth or .safetensors file"),
    "one file for several photos": ("w.npz", {}, "each photo has weights of its own. Remedy: adapt=album, or NAME in"),
    "NAME within a word": ("RENAMED.npz", {}, "each photo has weights of its own"),
    "NAME for an album": ("NAME.npz", ALBUM, "all photos of an album have the same weights"),
    "nothing to save": ("w.npz", {"fine_tune_num": [0]}, "nothing is adapted"),
    "no strength": ("w.npz", {"strength": [0.0]}, "nothing is adapted"),
    "among the photos": ("LQ/w.npz", ALBUM, "would lie among the photos"),
    "below the photos": ("LQ/sub/NAME.npz", {}, "would lie among the photos"),
    "the weights in use": ("model.npz", ALBUM, "model.npz would be overwritten"),
    "the weights in use, by a link": ("link.npz", ALBUM, "link.npz would be overwritten"),
    "other weights": ("other.npz", ALBUM | {"blend": "other.npz:0.5"}, "other.npz would be overwritten"),
    "a restorer's": ("r.npz", ALBUM | {"face_dir": None, "restorer": "faces_lite:r.npz"}, "r.npz would be overwritten"),
    "known ones": ("weights/lpips-alex.npz", ALBUM, "would be overwritten"),
    "a photo": ("LQ/d.npz", {"input_dir": Path("LQ/d.npz")}, "d.npz would be overwritten"),
    "a folder": ("folder.npz", ALBUM, "folder.npz is a folder"),
    "below a file": ("model.npz/w.npz", ALBUM, "cannot make this folder"),
    "where nothing can be written": ("locked/w.npz", ALBUM, "locked: cannot be written to"),
}


@pytest.mark.parametrize(("place", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_places_of_weights_that_cannot_be(go, place, options, message, monkeypatch):
    """Said before anything is computed."""
    monkeypatch.setattr(os, "access", lambda path, *_: Path(path) != Path("locked"))  # which root may write to
    for copy in ("other.npz", "r.npz"):
        shutil.copy("model.npz", copy)
    Path("link.npz").symlink_to("model.npz")
    Path("folder.npz").mkdir()
    shutil.copy("LQ/a.png", "LQ/d.npz")
    before = Path("model.npz").read_bytes()
    with pytest.raises(UserError, match=message):
        go(**options, save_weights=Path(place))
    assert not list(Path().rglob("out/*.png"))
    assert Path("model.npz").read_bytes() == before
