import os
import tracemalloc
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from inception_weights import META, golden_pictures, golden_sets, inception_params
from PIL import Image

from metaf2n_tf.errors import UserError
from metaf2n_tf.metrics import fid
from metaf2n_tf.networks import inception

WIDTH = 4  # of the features that stand in for the network's

pytestmark = pytest.mark.usefixtures("speaking")


def estimate(rows):
    return rows.mean(axis=0), np.cov(rows, rowvar=False)


def exact_distance(a, b):
    """Without covariances: tr sqrt(A B) is the sum of the singular values of Xa Xb^T / (n - 1), Xa, Xb centred rows."""
    cross = (a - a.mean(axis=0)) @ (b - b.mean(axis=0)).T / (len(a) - 1)
    squares = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + a.var(axis=0, ddof=1).sum() + b.var(axis=0, ddof=1).sum()
    return squares - 2 * np.linalg.svd(cross, compute_uv=False).sum()


def save_all(folder, pictures):
    folder.mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index:02d}.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("samples", [300, 40])
def test_published_distances(golden, samples):
    case, meta = golden("frechet")
    rows = [np.float64(case[f"features_{name}_times16"][:samples]) / 16 for name in "ab"]
    a, b = map(estimate, rows)
    expected = meta if samples == 300 else meta["rank_deficient"]
    close = {"rel": meta["tolerance"]["rel"]} if samples == 300 else meta["rank_deficient_tolerance"]
    assert fid.frechet_distance(*a, *b) == pytest.approx(expected["distance"], **close)
    assert fid.frechet_distance(*b, *a) == pytest.approx(exact_distance(*rows), rel=1e-11)
    assert fid.frechet_distance(*a, *a) == pytest.approx(0, abs=1e-9)


def test_distances_that_are_known_in_closed_form():
    mean, covariance = np.zeros(3), np.diag([4.0, 9.0, 0.0])
    assert fid.frechet_distance(mean, covariance, mean + 2, np.diag([1.0, 1.0, 16.0])) == pytest.approx(12 + 1 + 4 + 16)
    assert fid.frechet_distance(mean, 0 * covariance, mean, covariance) == pytest.approx(13)  # equal pictures


@pytest.mark.parametrize("sizes", [[1] * 150, [70, 70, 10], [0, 2, 148], [150]])
def test_streamed_moments_are_those_of_all_rows(sizes):
    rows = np.random.default_rng(0).standard_normal((150, 5)) * [1, 2, 3, 0, 1e-3] + [0, 10, 1e4, 1, 1e5]
    statistics = fid.Statistics()
    for block in np.split(rows, np.cumsum(sizes)[:-1]):
        statistics.update(block)
    mean, covariance = estimate(rows)
    found = statistics.moments()
    assert found.count == 150
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6, atol=1e-10)


def test_moments_may_be_asked_for_in_between():
    rows = np.random.default_rng(1).standard_normal((100, 3)).astype(np.float32)
    statistics = fid.Statistics()
    for row in rows:
        statistics.update(row[None])
        row[:] = np.nan  # what was taken in is no longer looked at
        if statistics.count in (2, 3, 80, 100):
            again = np.random.default_rng(1).standard_normal((100, 3)).astype(np.float32)[: statistics.count]
            np.testing.assert_allclose(statistics.moments().covariance, np.cov(again, rowvar=False), rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pictures_have_no_covariance(count):
    statistics = fid.Statistics()
    statistics.update(np.ones((count, 3)))
    with pytest.raises(UserError, match=f"at least 2 pictures, and here are {count}"):
        statistics.moments()


def test_memory_does_not_grow_with_the_number_of_pictures():
    statistics, row = fid.Statistics(), np.ones((1, 64))
    statistics.update(np.ones((100, 64)))
    tracemalloc.start()
    for _ in range(5000):  # 2.5 MB
        statistics.update(row)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000
    assert statistics.moments().count == 5100


def test_pictures_of_all_sizes_go_through_one_compiled_network(golden):
    case, meta = golden("inception")
    pictures, taken = golden_pictures(), []

    def stream():
        for index in range(11):
            name = list(pictures)[index % 3]
            taken.append(name)
            yield pictures[name]

    for index, row in enumerate(fid.features(inception_params(), stream())):
        assert len(taken) <= index + fid._BATCH  # no more are held
        assert (row.dtype, row.shape) == (np.float32, (inception.FEATURES,))
        expected = case[f"{taken[index]}_pool3"]
        np.testing.assert_allclose(row, expected, rtol=0, atol=meta["tolerance"]["pool3_abs"])
    assert index == 10
    assert fid._compiled_pool3().experimental_get_tracing_count() == 1
    other = next(fid.features(inception_params(), [pictures["enlarged"]], "tensorflow"))
    assert np.abs(other - case["enlarged_pool3"]).max() > 0.01
    with pytest.raises(UserError, match="no resize 'area'. Remedy: pytorch_fid or tensorflow"):
        next(fid.features(inception_params(), [], "area"))


@pytest.mark.slow
def test_published_fid_of_two_folders(golden, tmp_path):
    case, _ = golden("inception")
    expected, moments = META["fid"], []
    for index, pictures in enumerate(golden_sets()):
        assert zlib.crc32(b"".join(picture.tobytes() for picture in pictures)) == expected["crc32"][index]
        files = save_all(tmp_path / "ab"[index], pictures)
        moments.append(fid.picture_statistics(files, inception_params()))
        mean = np.float64(case[f"fid_{'ab'[index]}_pool3_every8"]).mean(axis=0)
        np.testing.assert_allclose(moments[-1].mean[::8], mean, rtol=0, atol=META["tolerance"]["pool3_abs"])
        assert moments[-1].count == 12
    distance = fid.frechet_distance(*moments[0][:2], *moments[1][:2])
    assert distance == pytest.approx(expected["distance"], rel=expected["tolerance"]["rel"])
    assert distance == pytest.approx(expected["distance_exact"], rel=1e-6)


class StandIn:
    """Quick features instead of the network's: the mean colour and a constant, scaled by the only weight."""

    def __init__(self, monkeypatch):
        self.calls = 0
        monkeypatch.setattr(inception, "FEATURES", WIDTH)
        monkeypatch.setattr(inception, "variable_shapes", lambda: {"scale": (1,)})
        monkeypatch.setattr(fid, "features", self)

    def __call__(self, params, pictures, resize):
        self.calls += 1
        for picture in pictures:
            yield np.float32([*picture.mean(axis=(0, 1)), 1]) * params["scale"]


@pytest.fixture
def network(monkeypatch):
    return StandIn(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    save_all(tmp_path / "HQ", rng.integers(0, 256, (6, 8, 9, 3), dtype=np.uint8))
    return tmp_path / "HQ"


PARAMS = {"scale": np.float32([2])}


def kept_file(folder, resize="pytorch_fid"):
    return folder.with_name(f"HQ.fid-{resize}.npz")


def test_reference_statistics_are_kept_beside_the_folder(network, folder, monkeypatch, capsys):
    pictures = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
    expected = np.cov(np.stack([*network(PARAMS, pictures, "")]), rowvar=False)
    first = fid.reference_statistics(folder, PARAMS)
    np.testing.assert_allclose(first.covariance, expected, rtol=1e-5, atol=1e-9)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["HQ", "HQ.fid-pytorch_fid.npz"]
    with np.load(kept_file(folder)) as archive:  # as pytorch-fid reads it
        np.testing.assert_array_equal(archive["mu"][:], first.mean)
        np.testing.assert_array_equal(archive["sigma"][:], first.covariance)

    network.calls = 0
    capsys.readouterr()
    monkeypatch.chdir(folder)
    for name in (folder, Path("."), Path("../HQ")):
        again = fid.reference_statistics(name, PARAMS)
        np.testing.assert_array_equal(again.covariance, first.covariance)
        assert again.count == 6
    assert network.calls == 0
    assert capsys.readouterr().err == ""


def _touch(folder):
    os.utime(folder / "03.png", ns=(1, 1))


def _rename(folder):
    (folder / "03.png").rename(folder / "03a.PNG")


def _remove(folder):
    (folder / "03.png").unlink()


@pytest.mark.parametrize("change", [_touch, _rename, _remove])
def test_other_pictures_are_noticed(network, folder, change, capsys):
    fid.reference_statistics(folder, PARAMS)
    change(folder)
    capsys.readouterr()
    assert fid.reference_statistics(folder, PARAMS).count == len(list(folder.iterdir()))
    assert network.calls == 2
    assert "HQ.fid-pytorch_fid.npz: of other pictures or weights; computed anew" in capsys.readouterr().err
    fid.reference_statistics(folder, PARAMS)
    assert network.calls == 2


def test_other_weights_and_resizes_are_noticed(network, folder):
    first = fid.reference_statistics(folder, PARAMS)
    second = fid.reference_statistics(folder, {"scale": np.float32([1])})
    np.testing.assert_allclose(4 * second.covariance, first.covariance)
    fid.reference_statistics(folder, PARAMS, "tensorflow")
    assert network.calls == 3
    assert kept_file(folder, "tensorflow").is_file()


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "not finite", "other shape", "a folder"])
def test_damaged_statistics_are_computed_anew(network, folder, damage, capsys):
    first = fid.reference_statistics(folder, PARAMS)
    kept = kept_file(folder)
    content = bytearray(kept.read_bytes())
    if damage == "flipped":
        content[content.index(first.covariance.tobytes()) + 3] ^= 1
    kept.write_bytes({"empty": b"", "cut": content[:-30]}.get(damage, content))
    with np.load(kept) if damage in ("not finite", "other shape") else nullcontext() as archive:
        arrays = dict(archive or {})
    if damage == "not finite":
        np.savez(kept, **arrays | {"mu": np.full(WIDTH, np.nan)})
    elif damage == "other shape":
        np.savez(kept, **arrays | {"sigma": np.eye(3)})
    elif damage == "a folder":
        kept.unlink()
        kept.mkdir()
    capsys.readouterr()
    again = fid.reference_statistics(folder, PARAMS)
    np.testing.assert_array_equal(again.covariance, first.covariance)
    assert network.calls == 2
    said = capsys.readouterr().err
    assert f"{kept}: " in said
    assert "computed anew" in said
    if damage == "a folder":
        assert "cannot be written: Is a directory; so the next run computes these statistics again" in said
        assert sorted(path.name for path in folder.parent.iterdir()) == ["HQ", kept.name]
    else:
        fid.reference_statistics(folder, PARAMS)
        assert network.calls == 2


def test_a_place_that_cannot_be_written_to(network, folder, monkeypatch, capsys):
    def refuse(path, content):
        raise UserError(f"{path}: cannot be written: Read-only file system")

    monkeypatch.setattr(fid.files, "write_bytes", refuse)
    assert fid.reference_statistics(folder, PARAMS).count == 6
    said = f"{kept_file(folder)}: cannot be written: Read-only file system; so the next run computes these statistics"
    assert capsys.readouterr().err.count(said) == 1


def test_unreadable_pictures_are_named_and_left_out(network, folder, capsys):
    whole = fid.reference_statistics(folder, PARAMS)
    (folder / "broken.png").write_bytes((folder / "00.png").read_bytes()[:60])
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    (folder / "sub.png").mkdir()
    capsys.readouterr()
    found = fid.reference_statistics(folder, PARAMS)
    assert found.count == 6
    np.testing.assert_array_equal(found.covariance, whole.covariance)
    assert f"left out: {folder / 'broken.png'}: not a readable picture" in capsys.readouterr().err
    fid.reference_statistics(folder, PARAMS)
    assert f"left out 1 unreadable picture of {folder}" in capsys.readouterr().err


@pytest.mark.usefixtures("network")
def test_folders_without_two_pictures(folder, tmp_path):
    with pytest.raises(UserError, match=r"fid_ref_dir=.*none: no such folder, nor a .npz file"):
        fid.reference_statistics(tmp_path / "none", PARAMS)
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(UserError, match=r"fid_ref_dir=.*HQ: FID needs at least 2 pictures, and here are 1"):
        fid.reference_statistics(folder, PARAMS)
    (folder / "broken.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"at least 2 pictures, and here are 1"):
        fid.reference_statistics(folder, PARAMS)
    assert not kept_file(folder).exists()


def test_statistics_of_pytorch_fid_stand_in_for_a_folder(network, tmp_path):
    mean, covariance = np.arange(WIDTH, dtype=np.float64), np.eye(WIDTH)
    file = tmp_path / "ffhq.npz"
    np.savez_compressed(file, mu=mean, sigma=covariance)
    found = fid.reference_statistics(file, PARAMS)
    assert found.count is None
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.covariance, covariance)
    assert network.calls == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ffhq.npz"]


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(WIDTH)}, "with mu and sigma"),
        ({"mu": np.zeros(WIDTH), "sigma": np.array([object()])}, "not a readable .npz file"),
        ({"mu": np.zeros(WIDTH), "sigma": np.array(["text"])}, "with mu and sigma"),
        ({"mu": np.zeros(WIDTH), "sigma": np.zeros(WIDTH), "count": np.inf}, "with mu and sigma"),
        ({"mu": np.zeros(WIDTH), "sigma": np.zeros((WIDTH, WIDTH)), "key": np.array("")}, "made with fid_resize="),
        ({"mu": np.zeros(64), "sigma": np.eye(64)}, r"shapes \(64,\) and \(64, 64\), expected \(4,\) and \(4, 4\)"),
        ({"mu": np.zeros(WIDTH), "sigma": np.full((WIDTH, WIDTH), np.inf)}, "not finite"),
    ],
)
def test_bad_statistics_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=rf"bad.npz: .*{message}"):
        fid.reference_statistics(tmp_path / "bad.npz", PARAMS)
