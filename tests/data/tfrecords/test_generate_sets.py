"""Making sets: the same records however they are made, resumed by shard, nothing lost, everything reported."""

import hashlib
import itertools
import json
import os
import threading

import numpy as np
import pytest
from training_sets import CROPPING, make, make_picture, read_all, read_manifest, write_pictures

from metaf2n_tf.commands.cli import OK, SOME_FAILED
from metaf2n_tf.commands.runs.tfrecord import Options, Request, run
from metaf2n_tf.data import files, images
from metaf2n_tf.data.tfrecords import local, manifest
from metaf2n_tf.data.tfrecords.crops import Cropping, cut_crops
from metaf2n_tf.data.tfrecords.sources import list_pictures
from metaf2n_tf.errors import UserError

SIZES = [(48, 64), (40, 40), (32, 90), (64, 32), (33, 50)]


@pytest.fixture
def folder(tmp_path):
    return write_pictures(tmp_path / "pictures", SIZES)


def expected_crops(folder, cropping=CROPPING):
    return [crop for path in sorted(folder.iterdir()) for crop in cut_crops(path, cropping)]


def test_a_set_holds_every_crop_in_order(tmp_path, folder):
    code, path = make(tmp_path, folder)
    assert code == OK
    np.testing.assert_array_equal(read_all(path), expected_crops(folder))
    described = read_manifest(path)
    assert described["complete"]
    assert described["count"] == len(expected_crops(folder))
    assert described["shape"] == [32, 32, 3]
    assert described["settings"]["stride"] == 16
    assert described["sources"]["inputs"] == [str(folder)]
    (shard,) = described["shards"]
    assert shard["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(file.name for file in path.parent.iterdir()) == ["set.json", "set.tfrecord"]


@pytest.mark.parametrize(("num_shards", "workers"), [(1, 3), (2, 1), (3, 2), (5, 4)])
def test_shards_and_workers_change_nothing(tmp_path, folder, num_shards, workers):
    _, one = make(tmp_path, folder)
    _, other = make(tmp_path, folder, "other", num_shards=num_shards, workers=workers)
    shards = [file for file in sorted(other.parent.iterdir()) if file.suffix == ".tfrecord"]
    assert len(shards) == num_shards
    assert b"".join(shard.read_bytes() for shard in shards) == one.read_bytes()


def test_finished_shards_are_kept_and_the_others_made(tmp_path, folder):
    _, path = make(tmp_path, folder, num_shards=4)
    shards = sorted(path.parent.glob("*.tfrecord"))
    content = [shard.read_bytes() for shard in shards]
    described = read_manifest(path)
    # As a killed run leaves it: shard 1 is not in the manifest, shard 2 is cut off, shard 3 is not there.
    described["shards"] = [described["shards"][index] for index in (0, 2, 3)]
    path.with_suffix(".json").write_text(json.dumps(described))
    shards[2].write_bytes(content[2][:-1])
    shards[3].unlink()
    os.utime(shards[0], (1, 1))
    assert make(tmp_path, folder, num_shards=4)[0] == OK
    assert [shard.read_bytes() for shard in shards] == content
    assert shards[0].stat().st_mtime == 1
    assert read_manifest(path)["complete"]
    assert read_manifest(path)["shards"][1]["file"] == shards[1].name


def test_an_interrupted_run_leaves_whole_shards_only(tmp_path, folder, monkeypatch):
    finished = itertools.count()
    real = local._write_shard

    def interrupted(path, pictures, results, *rest, **options):
        if next(finished) == 2:
            next(results)
            raise KeyboardInterrupt
        return real(path, pictures, results, *rest, **options)

    monkeypatch.setattr(local, "_write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, folder, num_shards=4, workers=2)
    left = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert left == ["set-00000-of-00004.tfrecord", "set-00001-of-00004.tfrecord", "set.json"]
    assert not read_manifest(tmp_path / "out" / "set.tfrecord")["complete"]
    monkeypatch.undo()
    _, path = make(tmp_path, folder, num_shards=4)
    np.testing.assert_array_equal(read_all(path), expected_crops(folder))


@pytest.mark.parametrize("change", ["pictures", "cropping", "shards", "foreign"])
def test_a_set_of_something_else_is_left_alone(tmp_path, folder, change):
    _, path = make(tmp_path, folder)
    before = path.read_bytes()
    arguments = {}
    if change == "pictures":
        images.write_rgb8(folder / "zzz.png", make_picture(40, 40, 99))
    elif change == "cropping":
        arguments["cropping"] = Cropping(32, 8)
    elif change == "shards":
        arguments["num_shards"] = 2
    else:
        path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match="Remedy: --overwrite, or another --output_dir"):
        make(tmp_path, folder, **arguments)
    assert path.read_bytes() == before
    make(tmp_path, folder, **arguments, overwrite=True)
    np.testing.assert_array_equal(read_all(path), expected_crops(folder, arguments.get("cropping", CROPPING)))
    assert path.exists() == (change != "shards")


def test_bad_and_small_pictures_are_named_and_the_rest_goes_on(tmp_path, folder, capsys):
    expected = expected_crops(folder)
    (folder / "broken.png").write_bytes((folder / "000.png").read_bytes()[:300])
    images.write_rgb8(folder / "tiny.png", make_picture(31, 64, 0))
    (folder / "notes.txt").write_text("not a picture, and not taken for one")
    code, path = make(tmp_path, folder, num_shards=3, workers=2)
    assert code == SOME_FAILED
    np.testing.assert_array_equal(read_all(path), expected)
    printed = capsys.readouterr().err
    assert "broken.png: not a readable picture" in printed
    assert "tiny.png: 64x31 pixels, smaller than 32x32" in printed
    assert "1 of 7 pictures smaller than the squares" in printed
    shards = read_manifest(path)["shards"]
    assert [name for shard in shards for name in shard["unusable"]] == [str(folder / "broken.png")]
    assert [name for shard in shards for name in shard["too_small"]] == [str(folder / "tiny.png")]


def test_a_small_picture_alone_is_no_failure(tmp_path, folder):
    images.write_rgb8(folder / "tiny.png", make_picture(31, 64, 0))
    assert make(tmp_path, folder)[0] == OK


@pytest.mark.parametrize("num_shards", [1, 2])
def test_no_crops_no_set(tmp_path, num_shards):
    folder = write_pictures(tmp_path / "pictures", [(20, 20), (20, 24)])
    with pytest.raises(UserError, match="none of the pictures gave a square.*the first: .*20x20 pixels, smaller"):
        make(tmp_path, folder, num_shards=num_shards)
    assert not list((tmp_path / "out").iterdir())


def test_an_overwriting_run_that_fails_leaves_the_old_set(tmp_path, folder):
    _, path = make(tmp_path, folder)
    small = write_pictures(tmp_path / "small", [(20, 20)])
    with pytest.raises(UserError, match="none of the pictures"):
        make(tmp_path, small, overwrite=True)
    np.testing.assert_array_equal(read_all(path), expected_crops(folder))
    assert read_manifest(path)["complete"]


def test_shards_that_no_manifest_knows_are_left_alone(tmp_path, folder):
    _, path = make(tmp_path, folder, num_shards=2)
    strangers = sorted(path.parent.glob("*.tfrecord"))
    path.with_suffix(".json").unlink()
    for num_shards in (1, 2, 3):
        with pytest.raises(UserError, match="exists, and was not made here"):
            make(tmp_path, folder, num_shards=num_shards)
    make(tmp_path, folder, num_shards=3, overwrite=True)
    assert not any(stranger.exists() for stranger in strangers)
    np.testing.assert_array_equal(read_all(path), expected_crops(folder))


def test_a_run_killed_before_its_first_entry_goes_on(tmp_path, folder, monkeypatch):
    real, calls = manifest.write, itertools.count()

    def killed(*arguments):
        if next(calls):
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(manifest, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, folder)
    monkeypatch.undo()
    assert (tmp_path / "out" / "set.tfrecord").exists()
    assert make(tmp_path, folder)[0] == OK


def test_two_runs_do_not_write_into_one_folder(tmp_path, folder):
    (tmp_path / "out").mkdir()
    with files.alone_in(tmp_path / "out"), pytest.raises(UserError, match="out: another run is writing there"):
        make(tmp_path, folder)
    make(tmp_path, folder)


def test_inputs_are_all_looked_at_first(tmp_path, folder):
    requests = [
        Request(tmp_path / "out" / "a.tfrecord", [str(folder)], CROPPING),
        Request(tmp_path / "out" / "b.tfrecord", [str(tmp_path / "nowhere")], CROPPING),
    ]
    with pytest.raises(UserError, match="nowhere: no pictures there"):
        run(requests, Options())
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_in_a_sets_place_is_one_line(tmp_path, folder):
    (tmp_path / "out" / "set.json").mkdir(parents=True)
    with pytest.raises(UserError, match="set.json"):
        make(tmp_path, folder, overwrite=True)


def test_the_same_pictures_by_another_path_are_the_same_set(tmp_path, folder):
    _, path = make(tmp_path, folder)
    (tmp_path / "link").symlink_to(folder)
    os.utime(path, (1, 1))
    for spelling in (f"{folder}/", f"{folder}/../pictures", tmp_path / "link"):
        make(tmp_path, spelling)
    assert path.stat().st_mtime == 1


def test_links_lead_to_every_picture_once(tmp_path, folder):
    (folder / "loop").symlink_to(folder)
    elsewhere = write_pictures(tmp_path / "elsewhere", [(40, 40)], 50)
    (folder / "more").symlink_to(elsewhere)
    assert len(list_pictures([str(folder), f"{folder}/loop", str(elsewhere)])) == len(SIZES) + 1


def test_names_with_brackets(tmp_path, folder):
    (folder / "000.png").rename(folder / "a[1].png")
    assert len(list_pictures([str(folder / "a[1].png")])) == 1
    _, path = make(tmp_path, folder, "o[1]", num_shards=2)
    np.testing.assert_array_equal(read_all(path), expected_crops(folder))


def test_requests_that_cannot_be_met(tmp_path, folder):
    with pytest.raises(UserError, match="nothing to do"):
        run([], Options())
    with pytest.raises(UserError, match="nowhere: no pictures there"):
        make(tmp_path, tmp_path / "nowhere")
    with pytest.raises(UserError, match="--num_shards 6: more than there are pictures"):
        make(tmp_path, folder, num_shards=6)
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "set.json").write_text("{}")
    with pytest.raises(UserError, match="set.json: not the description of a set"):
        make(tmp_path, folder)


def test_a_full_disk_is_one_line(tmp_path, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        make(tmp_path, folder)
    assert not list((tmp_path / "out").iterdir())


def test_inputs_are_folders_globs_and_files(tmp_path):
    write_pictures(tmp_path / "a", [(8, 8)] * 2)
    write_pictures(tmp_path / "a" / "deep" / "er", [(8, 8)])
    write_pictures(tmp_path / "a" / ".hidden", [(8, 8)])
    write_pictures(tmp_path / "we[ir]d", [(8, 8)])
    (tmp_path / "a" / "list.txt").write_text("")
    names = [
        os.path.relpath(path, tmp_path) for path in list_pictures([str(tmp_path / "a"), str(tmp_path / "we[ir]d")])
    ]
    assert names == ["a/000.png", "a/001.png", "a/deep/er/000.png", "we[ir]d/000.png"]
    assert len(list_pictures([str(tmp_path / "a" / "*.png"), str(tmp_path / "a")])) == 3
    assert len(list_pictures([str(tmp_path / "**" / "er" / "*")])) == 1
    assert [os.path.basename(path) for path in list_pictures([str(tmp_path / "a")], limit=1)] == ["000.png"]


def test_results_do_not_pile_up():
    """However many items there are, only a few results wait to be written."""
    waiting, most, lock = 0, 0, threading.Lock()

    def produce(item):
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        return item

    for item in local.map_in_order(produce, range(200), workers=3):
        with lock:
            waiting -= 1
        assert item < 200
    assert most <= 2 * 3


def test_errors_of_a_worker_reach_the_caller():
    def fail(item):
        if item == 3:
            raise RuntimeError("of item 3")
        return item

    results = local.map_in_order(fail, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="of item 3"):
        next(results)
