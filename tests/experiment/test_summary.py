from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaf2n_tf.experiment import plot, summary
from metaf2n_tf.experiment.records import Records
from metaf2n_tf.experiment.sweep import Configuration, Sweep, picture_path

SWEEP = Sweep([1e-3, 1e-2], [64], [16], [0, 1], [0, 1, 5])
PHOTOS = ["a.png", "b.png", "c.png"]
REST = {"inputs": [1], "picture": None, "faces": 1, "patches": 4, "adapted": True, "losses": [0.1], "mean_weight": 1.0}
REST["failed"] = {}


def value(photo, configuration, steps, scale=1.0):
    """Photos differ by tens, steps by tenths; the larger rate gains twice as much, seed 1 a little more."""
    gain = steps * (2 if configuration.task_lr == 1e-2 else 1) * (1 + 0.5 * configuration.seed)
    gain *= 1 + PHOTOS.index(photo)
    return 20.0 + 10 * PHOTOS.index(photo) + scale * 0.1 * gain


@pytest.fixture
def records(tmp_path):
    found = Records(tmp_path)
    for photo in PHOTOS:
        for configuration in SWEEP.configurations:
            for steps in SWEEP.steps:
                metrics = {"psnr_y": value(photo, configuration, steps), "lpips": value(photo, configuration, steps)}
                if photo != "c.png":
                    metrics["niqe_pyiqa"] = 5.0
                found.put(photo, configuration, steps, REST | {"metrics": metrics})
    return found


def test_means_errors_and_changes(records):
    rows = summary.rows(SWEEP, summary.curves(PHOTOS, SWEEP, records))
    assert [(row["task_lr"], row["steps"]) for row in rows] == [(lr, n) for lr in (1e-3, 1e-2) for n in (0, 1, 5)]
    last = rows[-1]["metrics"]["psnr_y"]
    seeds = np.array([[value(p, Configuration(1e-2, 64, 16, seed), 5) for seed in (0, 1)] for p in PHOTOS])
    unadapted = np.array([20.0, 30.0, 40.0])
    assert last["mean"] == pytest.approx(seeds.mean())
    assert last["standard_error"] == pytest.approx(seeds.mean(axis=1).std(ddof=1) / np.sqrt(3))
    change = seeds.mean(axis=1) - unadapted
    assert last["change"] == pytest.approx(change.mean())
    assert last["change_standard_error"] == pytest.approx(change.std(ddof=1) / np.sqrt(3))
    assert last["change_of_each_seed"] == pytest.approx((seeds - unadapted[:, None]).mean(axis=0))
    assert rows[0]["metrics"]["psnr_y"]["change"] == 0


def test_a_photo_without_a_metric_counts_for_the_others(records):
    rows = summary.rows(SWEEP, summary.curves(PHOTOS, SWEEP, records))
    assert rows[1]["metrics"]["niqe_pyiqa"]["count"] == 2
    assert rows[1]["metrics"]["psnr_y"]["count"] == 3


def test_the_best_is_named(records):
    best = summary.best(summary.rows(SWEEP, summary.curves(PHOTOS, SWEEP, records)))
    assert (best["psnr_y"]["task_lr"], best["psnr_y"]["steps"]) == (1e-2, 5)
    assert (best["lpips"]["steps"], best["niqe_pyiqa"]["steps"]) == (0, 0)  # lower is better; all equal
    sentence = summary.sentence("psnr_y", best["psnr_y"], SWEEP)
    assert sentence.startswith("best psnr_y: 32.500 with 5 steps, task_lr 0.01: +2.5 from unadapted (3 photos")
    assert sentence.endswith("standard error 0.722)")
    assert summary.sentence("lpips", best["lpips"], SWEEP) == "best lpips: 30.0000, unadapted (3 photos)"


def test_a_gain_within_its_error_may_be_chance(tmp_path):
    sweep, found = Sweep([1e-3], [64], [16], [0], [0, 1]), Records(tmp_path)
    for photo, gain in zip(PHOTOS, (0.9, -0.8, 0.2), strict=True):
        for steps in (0, 1):
            found.put(photo, sweep.configurations[0], steps, {"metrics": {"psnr_y": 20 + gain * steps}})
    best = summary.best(summary.rows(sweep, summary.curves(PHOTOS, sweep, found)))
    assert "so it may be chance" in summary.sentence("psnr_y", best["psnr_y"], sweep)


def test_identical_pictures_are_counted_apart(tmp_path):
    """Their PSNR is infinite, which no mean and no number of JSON is."""
    sweep, found = Sweep([1e-3], [64], [16], [0], [0, 1]), Records(tmp_path)
    for photo, values in (("a.png", (np.inf, np.inf)), ("b.png", (20.0, 21.0)), ("c.png", (30.0, np.inf))):
        for steps, psnr in enumerate(values):
            found.put(photo, sweep.configurations[0], steps, {"metrics": {"psnr_y": psnr}})
    unadapted, adapted = (row["metrics"]["psnr_y"] for row in summary.rows(sweep, summary.curves(PHOTOS, sweep, found)))
    assert (unadapted["mean"], unadapted["count"], unadapted["identical"]) == (25, 3, 1)
    assert (adapted["mean"], adapted["count"], adapted["identical"]) == (21, 3, 2)
    assert adapted["change"] == pytest.approx(0.5)
    assert adapted["change_of_each_seed"] == [None]
    rows = summary.rows(sweep, summary.curves(["a.png"], sweep, found))
    best = summary.best(rows)["psnr_y"]
    assert (best["metrics"]["psnr_y"]["mean"], best["steps"]) == (None, 0)
    assert summary.sentence("psnr_y", best, sweep) == "best psnr_y: identical, unadapted (1 photo)"


def test_records_survive_and_half_lines_do_not_count(tmp_path, records):
    infinite = {"metrics": {"psnr_y": float("inf")}, "mean_weight": np.float32(0.5)}
    records.put("a.png", SWEEP.configurations[0], 0, REST | infinite)
    records.save()
    path = tmp_path / "measurements.jsonl"
    cut = path.read_text().splitlines()[-1].replace('"metrics"', '"other"').replace("c.png", "z.png")
    path.write_text(path.read_text() + '{"photo": "z.png", "task_l\n[1]\n{"photo": "y"}\n' + cut + "\n")
    again = Records(tmp_path)
    last = "b.png", SWEEP.configurations[3], 5
    assert again.get(*last) == records.get(*last)
    assert again.get(*last)["metrics"]["psnr_y"] == value(*last)
    assert float(again.get("a.png", SWEEP.configurations[0], 0)["metrics"]["psnr_y"]) == float("inf")
    assert again.get("z.png", SWEEP.configurations[0], 0) is None


def test_an_infinite_psnr_among_others(records):
    """A picture equal to its ground truth spoils neither the mean of the others nor the plot."""
    for configuration in SWEEP.configurations:
        records.put("a.png", configuration, 0, REST | {"metrics": {"psnr_y": float("inf"), "lpips": 0.0}})
    curves = summary.curves(PHOTOS, SWEEP, records)
    rows = summary.rows(SWEEP, curves)
    unadapted, one_step = (row["metrics"]["psnr_y"] for row in rows[:2])
    assert (unadapted["mean"], unadapted["change"], unadapted["identical"]) == (35, 0, 1)
    changes = [
        np.mean([value(photo, s, 1) for s in SWEEP.configurations[:2]]) - at
        for photo, at in (("b.png", 30), ("c.png", 40))
    ]
    assert one_step["change"] == pytest.approx(np.mean(changes))
    assert one_step["change_of_each_seed"] == [None, None]
    assert "35.000, unadapted" in summary.sentence("psnr_y", summary.best(rows)["psnr_y"], SWEEP)
    plot.draw(SWEEP, curves)


def test_large_seeds_and_close_rates_stay_apart(tmp_path):
    sweep = Sweep([1e-3, 1.0000001e-3], [64], [16], [20240101, 20240102], [0, 1])
    assert len({picture_path(tmp_path, Path("a.png"), configuration, 1) for configuration in sweep.configurations}) == 4
    assert len({sweep.label(configuration, with_seed=True) for configuration in sweep.configurations}) == 4


def test_labels_name_what_varies(tmp_path):
    configuration = SWEEP.configurations[0]
    assert SWEEP.label(configuration) == "task_lr 0.001"
    assert SWEEP.label(configuration, with_seed=True) == "task_lr 0.001, seed 0"
    assert Sweep([1e-3], [64], [16], [0], [0, 1]).label(configuration) == ""
    paths = {picture_path(tmp_path, Path("a.jpg"), s, n) for s in SWEEP.configurations for n in SWEEP.steps}
    assert len(paths) == len(SWEEP.configurations) * 2 + 1


def test_plot(records):
    """A panel a metric; the lines of both settings are there, in their colours."""
    curves = summary.curves(PHOTOS, SWEEP, records)
    picture = np.asarray(Image.open(BytesIO(plot.draw(SWEEP, curves))).convert("RGB")).reshape(-1, 3)
    for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):
        assert np.count_nonzero((picture == colour).all(axis=1)) > 300
    one = plot.draw(SWEEP, {"psnr_y": curves["psnr_y"]})
    assert Image.open(BytesIO(one)).width < Image.open(BytesIO(plot.draw(SWEEP, curves))).width
