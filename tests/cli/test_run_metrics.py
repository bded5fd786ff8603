import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import recipe
from PIL import Image

from metaf2n_tf.commands.runs import metrics
from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.metrics import fid, niqe
from metaf2n_tf.metrics.psnr import psnr_y, psnr_y_published
from metaf2n_tf.metrics.ssim import ssim_y

pytestmark = pytest.mark.usefixtures("speaking")


@pytest.fixture
def folder(tmp_path, root, monkeypatch):
    """Results and ground truths in a place that has the weights."""
    (tmp_path / "weights").symlink_to(root / "weights")
    monkeypatch.chdir(tmp_path)
    for name in ("Res", "GT"):
        (tmp_path / name).mkdir()
    return tmp_path


def save(path, size=(192, 200), seed=0, noise=0.0):
    picture = recipe.image((*size, 3), seed)
    if noise:
        picture = picture + noise * np.random.default_rng(seed).standard_normal(picture.shape)
    Image.fromarray(images.to_levels(picture)).save(path)
    return images.read_rgb8(path)


def options(**changes):
    common = {"result_dir": Path("Res"), "gt_dir": Path("GT"), "fid_ref_dir": None, "output_dir": Path("Res")}
    rest = {"niqe_convention": "pyiqa", "fid_resize": "pytorch_fid", "recursive": False, "gpu": "-1"}
    return metrics.Options(**common | rest | changes)


def written(place="Res"):
    with open(Path(place, "metrics.csv")) as stream:
        rows = {row["picture"]: row for row in csv.DictReader(stream)}
    return rows, json.loads(Path(place, "metrics.json").read_text())


def test_values_means_and_errors(folder, capsys):
    """Names match across extensions; files that are no pictures do not count."""
    pairs = {}
    for index, extension in enumerate(["png", "bmp", "webp"]):
        result = save(folder / "Res" / f"p{index}.png", seed=index, noise=0.02 * (index + 1))
        pairs[f"p{index}.png"] = result, save(folder / "GT" / f"p{index}.{extension}", seed=index)
    (folder / "Res" / "results.jsonl").write_text("{}\n")
    assert metrics.run(options()) == 0
    rows, summary = written()
    assert list(rows) == list(pairs)
    params = niqe.load_niqe("weights/niqe_pris_params.npz")
    for name, (result, gt) in pairs.items():
        assert float(rows[name]["psnr_y"]) == psnr_y(result, gt)
        assert float(rows[name]["psnr_y_published"]) == psnr_y_published(result, gt)
        assert float(rows[name]["ssim_y"]) == ssim_y(result, gt)
        assert float(rows[name]["niqe_pyiqa"]) == niqe.niqe(result, params)
        assert 0.01 < float(rows[name]["lpips"]) < 1
    values = [float(row["lpips"]) for row in rows.values()]
    lpips = summary["metrics"]["lpips"]
    assert lpips["mean"] == pytest.approx(np.mean(values))
    assert lpips["standard_error"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert lpips["count"] == 3
    table = capsys.readouterr().out
    assert f"{np.mean(values):.4f}" in table
    assert "niqe_pyiqa" in table


def test_each_problem_is_named_and_the_rest_goes_on(folder, capsys):
    save(folder / "Res" / "good.png", noise=0.02)
    save(folder / "GT" / "good.png")
    save(folder / "Res" / "alone.png")
    save(folder / "Res" / "other_size.png")
    save(folder / "GT" / "other_size.png", size=(192, 204))
    save(folder / "Res" / "tiny.png", size=(40, 40), noise=0.1)
    save(folder / "GT" / "tiny.png", size=(40, 40))
    (folder / "Res" / "broken.png").write_bytes(b"no picture")
    save(folder / "GT" / "unused.png")
    assert metrics.run(options()) == 1
    log = capsys.readouterr().err
    assert "alone.png: no psnr_y, psnr_y_published, ssim_y, lpips: no ground truth of this name in GT" in log
    assert "GT/other_size.png: 204x192 pixels, but the picture to compare has 200x192" in log
    assert "tiny.png: no niqe_pyiqa" in log
    assert "left out: Res/broken.png: not a readable picture" in log
    assert "ground truths without a result (1): GT/unused.png" in log
    rows, summary = written()
    assert set(rows) == {"good.png", "alone.png", "other_size.png", "tiny.png"}
    counts = {metric: values["count"] for metric, values in summary["metrics"].items()}
    assert counts == {"psnr_y": 2, "psnr_y_published": 2, "ssim_y": 2, "lpips": 2, "niqe_pyiqa": 3}
    assert rows["alone.png"]["psnr_y"] == ""
    assert set(summary["failed"]) == {"alone.png", "other_size.png", "tiny.png", "broken.png"}
    assert summary["ground_truths_without_result"] == ["GT/unused.png"]


def test_missing_weights_leave_their_metrics_out(folder, capsys):
    (folder / "weights").unlink()
    save(folder / "Res" / "a.png", noise=0.02)
    save(folder / "GT" / "a.png")
    assert metrics.run(options(fid_ref_dir=Path("GT"))) == 1
    log = capsys.readouterr().err
    for metric, remedy in (("lpips", "lpips-alex"), ("niqe_pyiqa", "niqe"), ("fid", "inception-fid")):
        assert f"not computed: {metric}: weights/" in log
        assert f"Remedy: python scripts/download_weights.py {remedy}" in log
    assert set(written()[1]["metrics"]) == {"psnr_y", "psnr_y_published", "ssim_y"}
    assert set(written()[1]["not_computed"]) == {"lpips", "niqe_pyiqa", "fid"}


def test_without_ground_truth_in_subfolders_basicsr(folder):
    (folder / "Res" / "sub").mkdir()
    picture = save(folder / "Res" / "sub" / "a.jpg")
    assert metrics.run(options(gt_dir=None, recursive=True, niqe_convention="basicsr", output_dir=Path("m"))) == 0
    rows, summary = written("m")
    assert set(summary["metrics"]) == {"niqe_basicsr"}
    params = niqe.load_niqe("weights/niqe_pris_params.npz")
    assert float(rows["sub/a.jpg"]["niqe_basicsr"]) == niqe.niqe(picture, params, "basicsr")


def test_equal_pictures_are_strict_json(folder, capsys):
    """Their PSNR is infinite: they are counted apart, so that means stay numbers, and mean something."""
    save(folder / "Res" / "a.png")
    save(folder / "GT" / "a.png")

    def written_metrics():
        assert metrics.run(options()) == 0
        text = Path("Res/metrics.json").read_text()
        return json.loads(text, parse_constant=lambda token: pytest.fail(token))["metrics"]

    found = written_metrics()
    assert found["psnr_y"] == {"mean": None, "standard_error": None, "count": 1, "identical": 1}
    assert found["psnr_y_published"]["mean"] == 100
    values = []
    for name in ("b", "c"):
        values.append(psnr_y(save(folder / "Res" / f"{name}.png", noise=0.05), save(folder / "GT" / f"{name}.png")))
    values[1] = psnr_y(save(folder / "Res" / "c.png", noise=0.1), images.read_rgb8(folder / "GT" / "c.png"))
    found = written_metrics()["psnr_y"]
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["standard_error"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(2))
    assert (found["count"], found["identical"]) == (3, 1)
    assert "1 identical, not in the mean" in capsys.readouterr().out


def test_an_ambiguous_ground_truth_costs_its_own_picture(folder, capsys):
    for name in ("a", "b"):
        save(folder / "Res" / f"{name}.png", noise=0.02)
        save(folder / "GT" / f"{name}.png")
    save(folder / "GT" / "b.jpg")
    assert metrics.run(options()) == 1
    assert "GT/b.jpg and GT/b.png both have this name. Remedy: leave one of them there" in capsys.readouterr().err
    rows, summary = written()
    assert rows["a.png"]["psnr_y"]
    assert rows["b.png"]["psnr_y"] == ""
    assert rows["b.png"]["niqe_pyiqa"]
    assert set(summary["failed"]) == {"b.png"}


def test_links_to_nothing_are_named(folder, capsys, monkeypatch):
    monkeypatch.setattr(metrics, "load_inception", lambda path: None)
    monkeypatch.setattr(fid, "_fingerprint", lambda *_: "")
    monkeypatch.setattr(fid, "features", lambda params, pictures, resize: (np.resize(p, 2048) / 1.0 for p in pictures))
    for name in ("a", "b"):
        save(folder / "Res" / f"{name}.png", noise=0.02)
        save(folder / "GT" / f"{name}.png")
    (folder / "GT" / "gone.png").symlink_to("nowhere.png")
    assert metrics.run(options(gt_dir=None, fid_ref_dir=Path("GT"))) == 1
    assert "left out: GT/gone.png: not a readable picture (No such file" in capsys.readouterr().err
    (folder / "Res" / "gone.png").symlink_to("nowhere.png")
    assert metrics.run(options(gt_dir=None)) == 1
    assert "left out: Res/gone.png: not a readable picture (No such file" in capsys.readouterr().err


def test_fid_of_a_folder(folder, capsys, monkeypatch):
    """The reference is computed once; with so few pictures there is a warning."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(metrics, "load_inception", lambda path: None)
    monkeypatch.setattr(fid, "_fingerprint", lambda *_: "")
    projection = rng.standard_normal((3, 2048))
    seen = []

    def features(params, pictures, resize):
        for picture in pictures:
            seen.append(picture.mean((0, 1)) @ projection)
            yield seen[-1]

    monkeypatch.setattr(fid, "features", features)
    for index in range(4):
        save(folder / "Res" / f"{index}.png", seed=index, noise=0.02)
        save(folder / "GT" / f"{index}.png", seed=index + 10)
    for _ in range(2):
        assert metrics.run(options(gt_dir=None, fid_ref_dir=Path("GT"))) == 0
    assert len(seen) == 4 + 4 + 4
    read = [
        np.stack([images.read_rgb8(p).mean((0, 1)) @ projection for p in sorted(Path(d).glob("*.png"))])
        for d in ("Res", "GT")
    ]
    moments = [value for x in read for value in (x.mean(axis=0), np.cov(x, rowvar=False))]
    result = written()[1]["metrics"]["fid"]
    assert result["mean"] == pytest.approx(fid.frechet_distance(*moments), rel=1e-6)
    assert (result["count"], result["reference_count"]) == (4, 4)
    assert Path("GT.fid-pytorch_fid.npz").is_file()
    assert "FID of 4 pictures is biased upwards" in capsys.readouterr().err


def test_names_need_not_be_text(folder):
    name = os.fsdecode(b'x\xff "quoted".png')
    save(folder / "Res" / name, noise=0.02)
    save(folder / "GT" / name)
    save(folder / "GT" / os.fsdecode(b"unused\xfe.png"))
    assert metrics.run(options()) == 0
    rows, summary = written()
    assert len(rows) == 1
    assert json.loads(Path("Res/metrics.json").read_text())["ground_truths_without_result"]
    assert summary["metrics"]["psnr_y"]["count"] == 1


def test_a_picture_out_of_memory_is_left_out(folder, monkeypatch, capsys):
    for name in ("a", "b"):
        save(folder / "Res" / f"{name}.png", noise=0.02)
        save(folder / "GT" / f"{name}.png")
    read = images.read_rgb8

    def starved(path):
        if path == Path("Res/a.png"):
            raise MemoryError
        return read(path)

    monkeypatch.setattr(images, "read_rgb8", starved)
    assert metrics.run(options()) == 1
    assert "left out: Res/a.png: out of memory" in capsys.readouterr().err
    assert list(written()[0]) == ["b.png"]


def test_nothing_to_compare(folder):
    save(folder / "Res" / "a.png")
    save(folder / "GT" / "b.png")
    with pytest.raises(UserError, match="--gt_dir GT: none of its names is one of Res"):
        metrics.run(options())
    with pytest.raises(UserError, match="result_dir=nowhere: no such folder"):
        metrics.run(options(result_dir=Path("nowhere")))
    with pytest.raises(UserError, match="gt_dir=nowhere: no such folder"):
        metrics.run(options(gt_dir=Path("nowhere")))
    save(folder / "GT" / "a.png")
    with pytest.raises(UserError, match="fid_ref_dir=nowhere: no such folder, nor a .npz file"):
        metrics.run(options(fid_ref_dir=Path("nowhere")))
