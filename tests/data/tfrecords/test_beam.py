"""Beam writes patch for patch the same records as the local writer."""

import json
import urllib.request

import numpy as np
import pytest
from training_sets import CROPPING, make, make_picture, read_all, read_manifest, write_pictures

from metaf2n_tf.commands.cli import SOME_FAILED
from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.data.tfrecords.verify import check_set
from metaf2n_tf.errors import UserError


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch):
    """Beam's DirectRunner would rather fetch and use another runner."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    yield
    urllib.request.install_opener(None)  # the one that it leaves knows these proxies


@pytest.mark.parametrize(
    ("cropping", "num_shards"), [(CROPPING, 2), (Cropping(32, 16, min_gradient=-5.0, multiscale=True), 1)]
)
def test_the_records_are_the_local_writers(tmp_path, cropping, num_shards):
    folder = write_pictures(tmp_path / "pictures", [(48, 64), (40, 40), (70, 90)])
    (folder / "broken.png").write_bytes(b"no picture")
    images.write_rgb8(folder / "tiny.png", make_picture(31, 64, 0))
    codes, crops, problems = [], [], []
    for where, runner in (("local", None), ("beam", "DirectRunner")):
        code, path = make(tmp_path, folder, where, cropping, num_shards=num_shards, runner=runner)
        codes.append(code)
        crops.append(sorted(crop.tobytes() for crop in read_all(path)))
        shards = read_manifest(path)["shards"]
        problems.append(sorted(reason for shard in shards for reason in {**shard["too_small"], **shard["unusable"]}))
        check_set(path)
        assert len(list(path.parent.iterdir())) == num_shards + 1
    assert codes == [SOME_FAILED] * 2
    assert crops[0] == crops[1]
    assert problems[0] == problems[1] == [str(folder / name) for name in ("broken.png", "tiny.png")]
    assert len(np.unique(crops[0])) > 5


def test_a_finished_set_is_not_made_again(tmp_path):
    folder = write_pictures(tmp_path / "pictures", [(48, 64)])
    _, path = make(tmp_path, folder, runner="DirectRunner")
    before = path.stat().st_mtime_ns
    make(tmp_path, folder, runner="DirectRunner")
    assert path.stat().st_mtime_ns == before
    assert json.loads(path.with_suffix(".json").read_text())["complete"]


def test_an_unknown_runner_is_named(tmp_path):
    folder = write_pictures(tmp_path / "pictures", [(48, 64)])
    with pytest.raises(UserError, match="runner=Nobody: ValueError: Unexpected pipeline runner"):
        make(tmp_path, folder, runner="Nobody")
