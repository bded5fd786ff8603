import numpy as np
import pytest
from asffnet_weights import asffnet_state_dict, tiny_asffnet_state_dict, to_params
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import asffnet
from metaf2n_tf.weights.face_networks import load_asffnet

CONV = "LQ_Model.conv2.0.weight"


def check(found, expected):
    assert list(found) == list(asffnet.variable_shapes(4))
    for name, value in found.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=0, err_msg=name)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"params": state},
        lambda state: state,
        lambda state: {"params": {f"module.{name}": value for name, value in state.items()}},
        lambda state: state | {"more.weight": np.zeros((2, 2), np.float32)},
    ],
    ids=["published", "bare", "module", "extra key"],
)
def test_every_way_the_file_is_shared(tmp_path, wrap):
    state = tiny_asffnet_state_dict()
    write_pth(tmp_path / "ASFFNet512.pth", wrap(state))
    check(load_asffnet(tmp_path / "ASFFNet512.pth"), to_params(state))


def test_spectral_normalization_takes_the_stored_vectors(tmp_path):
    """As PyTorch in evaluation: neither another iteration nor the largest singular value itself."""
    state = tiny_asffnet_state_dict()
    state[CONV.replace("weight", "weight_v")] *= 2
    write_pth(tmp_path / "ASFFNet512.pth", state)
    found = load_asffnet(tmp_path / "ASFFNet512.pth")[CONV]
    np.testing.assert_allclose(found, to_params(tiny_asffnet_state_dict())[CONV] / 2, rtol=1e-6)
    largest = np.linalg.norm(found.reshape(-1, found.shape[-1]), 2)
    assert abs(largest - 0.5) > 0.01


def test_folded_kernels_are_taken_as_they_are(tmp_path):
    state = tiny_asffnet_state_dict()
    kernel = state.pop(f"{CONV}_orig")
    state[CONV] = kernel
    write_pth(tmp_path / "ASFFNet512.pth", state)
    np.testing.assert_array_equal(load_asffnet(tmp_path / "ASFFNet512.pth")[CONV], kernel.transpose(2, 3, 1, 0))


def test_the_published_file(tmp_path):
    """All 599 entries."""
    state = asffnet_state_dict()
    assert len(state) == 599
    write_pth(tmp_path / "ASFFNet512.pth", {"params": state})
    params = load_asffnet(tmp_path / "ASFFNet512.pth")
    assert {name: value.shape for name, value in params.items()} == asffnet.variable_shapes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("LQ_Model.conv1.0.bias"), "conv1.0.bias is missing, so this is not ASFFNet"),
        (lambda state: state.pop("UpModel.9.bias"), "UpModel.9.bias is missing"),
        (lambda state: state.pop(f"{CONV}_orig"), f"variable {CONV} is missing"),
        (lambda state: state.pop(f"{CONV}_u"), f"{CONV}_u is missing"),
        (lambda state: state.pop(f"{CONV}_v"), f"{CONV}_v is missing"),
        (lambda state: state.update({f"{CONV}_v": np.ones(35, np.float32)}), r"_v has shape \(35,\), expected \(36,\)"),
        (lambda state: state[f"{CONV}_u"].fill(0), f"{CONV} cannot be used: its spectral norm is 0.0"),
        (lambda state: state[f"{CONV}_orig"].fill(3e38), f"{CONV} cannot be used: its spectral norm is inf"),
        (lambda state: state[f"{CONV}_orig"].fill(np.nan), f"{CONV}_orig holds values that are not finite"),
        (lambda state: state.clear(), "holds no dict of tensors"),
    ],
)
def test_other_files_are_refused(tmp_path, change, message):
    state = tiny_asffnet_state_dict()
    state[f"{CONV}_u"], state[f"{CONV}_v"] = np.abs(state[f"{CONV}_u"]), np.abs(state[f"{CONV}_v"])
    change(state)
    write_pth(tmp_path / "ASFFNet512.pth", {"params": state})
    with pytest.raises(UserError, match=message) as caught:
        load_asffnet(tmp_path / "ASFFNet512.pth")
    assert str(caught.value).startswith(str(tmp_path / "ASFFNet512.pth"))


def test_a_missing_or_damaged_file_is_named(tmp_path):
    path = tmp_path / "ASFFNet512.pth"
    with pytest.raises(UserError, match=r"ASFFNet512.pth: no such file"):
        load_asffnet(path)
    write_pth(path, tiny_asffnet_state_dict())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"ASFFNet512.pth"):
        load_asffnet(path)
