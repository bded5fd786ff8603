"""Weights written in every format that holds variables; PyTorch and spandrel load them in `make test-slow`."""

import dataclasses
import logging

import numpy as np
import pytest
import srvgg_weights
from conftest import make_tiny_sr

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import load, pth
from metaf2n_tf.weights.writing import WRITERS, check_suffix, say_what_stays, write_weights


@pytest.fixture
def meta_trained(golden_mask):
    params = srvgg_weights.make_tiny()
    return load.Weights("tiny", params, golden_mask, {f"TaskLR/{name}": np.float32(-1) for name in params})


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("params", [make_tiny_sr(), srvgg_weights.make_tiny(), srvgg_weights.make_tiny_context()])
def test_what_is_written_is_read(tmp_path, params, suffix, half):
    write_weights(tmp_path / f"a{suffix}", load.Weights("tiny", params, None), half=half)
    found = load.load_weights(tmp_path / f"a{suffix}").sr
    assert list(found) == list(params)
    for name, value in params.items():
        np.testing.assert_array_equal(found[name], value.astype(np.float16) if half else value)


def test_what_a_format_has_no_place_for_is_said(tmp_path, meta_trained, caplog):
    caplog.set_level(logging.INFO, "metaf2n_tf")
    for suffix, has_all in ((".npz", True), (".pth", False), (".safetensors", False)):
        write_weights(tmp_path / f"a{suffix}", meta_trained)
        say_what_stays(tmp_path / f"a{suffix}", meta_trained)
        found = load.load_weights(tmp_path / f"a{suffix}")
        assert (found.mask is not None, bool(found.log_rates)) == (has_all, has_all)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: the SR network without MaskNet and learned rates, for which {name[1:]} has no place"
        for name in ("a.pth", "a.safetensors")
    ]


def test_a_pth_has_real_esrgan_s_names_and_layout(tmp_path):
    params = make_tiny_sr()
    write_weights(tmp_path / "a.pth", load.Weights("tiny", params, None))
    content = pth.read_pth(tmp_path / "a.pth")
    assert list(content) == ["params", "params_ema"]
    for state in content.values():
        assert state["body.0.rdb1.conv5.weight"].shape == (8, 24, 3, 3)
        for name, value in srvgg_weights.to_state_dict(params).items():
            np.testing.assert_array_equal(state[name], value)


@pytest.mark.parametrize("name", ["a", "a.bin", "a.npz.zip"])
def test_other_suffixes_are_named(tmp_path, name):
    with pytest.raises(UserError, match=r"save_weights=.*: the name of a .npz or .pth or .safetensors file"):
        check_suffix("save_weights", tmp_path / name)


def test_the_identity_stays(tmp_path, meta_trained):
    plain = dataclasses.replace(meta_trained, mask=None, log_rates={})
    for suffix in WRITERS:
        write_weights(tmp_path / f"a{suffix}", plain)
        assert load.load_weights(tmp_path / f"a{suffix}").identity == plain.identity
