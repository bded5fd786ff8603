"""`test.py` with compact networks: blends, learned rates, the restorer faces_lite."""

import json
import shutil
from pathlib import Path

import commands
import cv2
import numpy as np
import pytest
import recipe
import srvgg_weights
from PIL import Image

from metaf2n_tf.data import images
from metaf2n_tf.faces import folder
from metaf2n_tf.networks import masknet
from metaf2n_tf.weights import load, npz


@pytest.fixture
def place(tmp_path):
    """One photo with a face, two compact networks, the first one meta-trained with rates of its own."""

    class Place:
        model, other, out = tmp_path / "model.npz", tmp_path / "other.npz", tmp_path / "out"
        photos, faces = tmp_path / "LQ", tmp_path / "faces"

        def test(self, *arguments, code=0):
            common = ("--input_dir", self.photos, "--output_dir", self.out, "--model_dir", self.model)
            return commands.run(tmp_path, "test.py", *common, *arguments, code=code)

        def record(self):
            (line,) = (self.out / "results.jsonl").read_text().splitlines()
            return json.loads(line)

    Place.photos.mkdir()
    Image.fromarray(images.to_levels(recipe.image((24, 20, 3), 1))).save(Place.photos / "a.png")
    hq = images.to_levels(recipe.image((96, 80, 3), 2))
    pair = {folder.LQ: {0: cv2.resize(hq, (20, 24), interpolation=cv2.INTER_AREA)}, folder.HQ: {0: hq}}
    folder.write_pictures(Place.faces, Path("a.png"), pair)
    network = srvgg_weights.make_tiny()
    rates = {f"TaskLR/{name}": np.float32(np.log(0.02 if "bias" in name else 0.05)) for name in network}
    npz.write_npz(Place.model, network | masknet.initial_params(0, 8, bias=0.5) | rates)
    npz.write_npz(Place.other, srvgg_weights.make_tiny(seed=6))
    return Place()


def test_a_blend_of_compact_networks_adapts_with_learned_rates(place):
    log = place.test("--face_dir", place.faces, "--fine_tune_num", 2, "--blend", f"{place.other}:0.5")
    assert "task_lr: one for each variable, from 0.02 to 0.05, as these weights have learned them" in log
    assert "SRVGGNetCompact of 2 convolutions, 8 wide" in log
    assert f"with 0.5 of {place.other}" in log
    record = place.record()
    assert (record["task_lr"], record["weights_kind"], record["tile_pad"]) == ("learned", "meta-trained", 4)
    assert record["blend"] == f"{place.other}:0.5"
    assert record["weights"] == load.load_weights(place.model, f"{place.other}:0.5").identity
    assert record["adapted"]
    assert record["losses"][2] < record["losses"][0]
    assert images.read_photo(place.out / "a.png").size == (96, 80)


@pytest.mark.slow
def test_a_rate_of_ones_own_takes_the_place_of_the_learned_ones(place):
    place.test("--face_dir", place.faces)
    learned = (place.out / "a.png").read_bytes()
    own = ("--face_dir", place.faces, "--task_lr", "1e-3", "--tile_pad", 7)
    log = place.test(*own)
    assert "1 photo is made anew, as these are not those of the record: task_lr, tile_pad" in log
    assert "task_lr: 0.001" in log
    assert (place.record()["task_lr"], place.record()["tile_pad"], place.record()["blend"]) == (1e-3, 7, None)
    assert (place.out / "a.png").read_bytes() != learned


@pytest.mark.slow
def test_the_report_knows_learned_rates(place):
    place.test("--face_dir", place.faces, "--report")
    assert '"task_lr":"learned"' in (place.out / "report.html").read_text().replace(" ", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blend", "message"),
    [
        ("other.npz:1.5", "--blend other.npz:1.5: expected FILE:SHARE, the share from 0 to 1"),
        ("other.npz", "--blend other.npz: expected FILE:SHARE"),
        ("absent.npz:0.5", "absent.npz: no weights there"),
        ("deep.npz:0.5", "not of one network, as MODEL/body/"),
    ],
)
def test_blends_that_cannot_be_are_one_line_and_exit_code_2(place, blend, message):
    npz.write_npz(place.model.with_name("deep.npz"), srvgg_weights.make_tiny(3))
    log = place.test("--face_dir", place.faces, "--blend", blend, code=2)
    assert message in log.splitlines()[-1]
    assert log.count("error: ") == 1


@pytest.mark.slow
def test_faces_are_restored_by_faces_lite_weights_of_ones_own(place, sample_lq):
    npz.write_npz(place.model.with_name("faces.npz"), srvgg_weights.perturbed(srvgg_weights.make_tiny_context()))
    (place.photos / "a.png").unlink()
    shutil.copy(sample_lq, place.photos / "a.png")
    place.test("--detector", "mtcnn", "--restorer", "faces_lite:faces.npz")
    record = place.record()
    assert (record["faces"], record["adapted"], record["detector"]) == (1, True, "mtcnn")
    assert record["restorer"].startswith("faces_lite")
    assert record["losses"][1] < record["losses"][0]
