"""Weights by the names of the catalogue, and every default of the package in the folder of weights."""

import re
from pathlib import Path

import pytest
from conftest import make_tiny_sr

from metaf2n_tf import places
from metaf2n_tf.errors import UserError
from metaf2n_tf.metrics import dists, fid, lpips, niqe
from metaf2n_tf.weights import catalogue, npz
from metaf2n_tf.weights.catalogue import CATALOGUE
from metaf2n_tf.weights.discriminator import load_discriminator
from metaf2n_tf.weights.inception import load_inception
from metaf2n_tf.weights.load import choose_weights, load_weights

NAME, FILE = "realesrgan-x4plus", "realesrgan-x4plus.npz"
CONFIG = places.read_config()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder of weights that is not ./weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAF2N_WEIGHTS", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def test_a_name_of_the_catalogue_is_its_file(elsewhere):
    missing = rf"^{NAME}: there is no {elsewhere / FILE}. Remedy: python scripts/download_weights.py {NAME}, or get it"
    for ask in (load_weights, choose_weights, catalogue.find):
        with pytest.raises(UserError, match=missing):
            ask(NAME)
    npz.write_npz(elsewhere / FILE, make_tiny_sr())
    assert choose_weights(Path(NAME)) == (elsewhere / FILE, "")
    weights = load_weights(NAME)
    assert weights.source == str(elsewhere / FILE)
    assert load_weights(f"./weights/{FILE}").identity == weights.identity


def test_a_path_that_exists_wins(elsewhere):
    npz.write_npz(elsewhere / FILE, make_tiny_sr())
    Path(NAME).mkdir()
    npz.write_npz(Path("weights.npz"), make_tiny_sr(6))
    assert catalogue.find(NAME) == Path(NAME)
    Path(NAME).rmdir()
    Path(f"{NAME}.index").touch()  # the prefix of a checkpoint
    assert catalogue.find(NAME) == Path(NAME)
    Path("weights").mkdir()
    npz.write_npz(Path("weights") / FILE, make_tiny_sr(6))
    assert load_weights(f"weights/{FILE}").source == f"weights/{FILE}"


def test_what_is_neither_path_nor_name_is_said_as_it_was_given(elsewhere):
    with pytest.raises(UserError, match=r"^realesrgan-x4: no weights there\. Remedy: .* pass model_dir=weights/"):
        load_weights("realesrgan-x4")
    with pytest.raises(UserError, match=rf"^{elsewhere}/other.npz: no weights there"):
        load_weights("weights/other.npz")


def test_a_blend_may_be_named_too(elsewhere):
    npz.write_npz(elsewhere / FILE, make_tiny_sr())
    npz.write_npz(Path("other.npz"), make_tiny_sr(6))
    by_path = load_weights("other.npz", f"{elsewhere / FILE}:0.5")
    assert load_weights("other.npz", f"{NAME}:0.5").identity == by_path.identity
    assert by_path.identity != load_weights("other.npz").identity
    (elsewhere / FILE).unlink()
    with pytest.raises(UserError, match=f"^{NAME}: there is no "):
        load_weights("other.npz", f"{NAME}:0.5")


def test_without_a_name_the_published_weights_are_taken_or_the_shipped_ones(elsewhere):
    path, why = choose_weights(None)
    assert path == places.shipped("metaf2n_lite.npz") == CATALOGUE["metaf2n-lite"].path
    assert why == ", the shipped ones, as there are no published ones at pretrained_models/model-new"
    Path("pretrained_models").mkdir()
    Path("pretrained_models/model-new.index").touch()
    assert choose_weights(None) == (Path("pretrained_models/model-new"), ", the published ones, which are there")


@pytest.mark.parametrize(
    ("load", "default"),
    [
        (dists.load_dists, dists.WEIGHTS),
        (load_inception, fid.WEIGHTS),
        (lpips.load_lpips, lpips.WEIGHTS),
        (lpips.load_lpips, CONFIG["LPIPS_WEIGHTS"]),
        (niqe.load_niqe, niqe.WEIGHTS),
        (load_weights, CONFIG["SR_WEIGHTS"]),
        (load_discriminator, CONFIG["DISCRIMINATOR_WEIGHTS"]),
    ],
)
def test_every_default_is_looked_for_in_the_folder_of_weights(elsewhere, load, default):
    assert Path(default).name in {entry.file for entry in CATALOGUE.values()}
    with pytest.raises(UserError, match=f"^{re.escape(str(elsewhere / Path(default).name))}: no "):
        load(default)
