import numpy as np
import pytest
from face_weights import GPEN_CHANNELS, gpen_state_dict, tiny_gpen_state_dict, to_params
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import gpen
from metaf2n_tf.weights.face_networks import load_gpen


def check(found, expected):
    assert set(found) == set(gpen.variable_shapes([4] * 5))
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"g_ema": state, "d": {"convs.0.0.weight": np.zeros(3, np.float32)}, "iteration": 7},
        lambda state: state | {"generator.more.weight": np.zeros((2, 2), np.float32), "version": "1.0"},
    ],
    ids=["bare", "module", "training checkpoint", "extra keys"],
)
def test_every_way_the_file_is_shared(tmp_path, wrap):
    state = tiny_gpen_state_dict()
    write_pth(tmp_path / "GPEN.pth", wrap(state))
    check(load_gpen(tmp_path / "GPEN.pth"), to_params(state))


def test_the_published_file(tmp_path):
    """All 144 entries of GPEN-BFR-256.pth, blur kernels among them."""
    write_pth(tmp_path / "GPEN-BFR-256.pth", gpen_state_dict("gpen256"))
    params = load_gpen(tmp_path / "GPEN-BFR-256.pth")
    assert gpen.resolution(params) == 256
    assert {name: value.shape for name, value in params.items()} == gpen.variable_shapes(GPEN_CHANNELS[256])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("generator.convs.3.noise.weight"), "convs.3.noise.weight is missing"),
        (lambda state: state.pop("generator.input.input"), "input.input is missing, so this is not GPEN"),
        (
            lambda state: state.update({"ecd2.0.1.weight": np.zeros((4, 3, 3, 3), np.float32)}),
            r"\(3, 3, 3, 4\), expected",
        ),
        (lambda state: state["ecd0.0.1.bias"].fill(np.nan), "ecd0.0.1.bias holds values that are not finite"),
        (lambda state: state.clear(), "holds no dict of tensors"),
    ],
)
def test_other_files_are_refused(tmp_path, change, message):
    state = tiny_gpen_state_dict()
    change(state)
    write_pth(tmp_path / "GPEN.pth", state)
    with pytest.raises(UserError, match=message):
        load_gpen(tmp_path / "GPEN.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"GPEN.pth: no such file"):
        load_gpen(tmp_path / "GPEN.pth")
