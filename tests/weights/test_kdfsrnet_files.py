import numpy as np
import pytest
from kdfsrnet_weights import state_dict, tiny_state_dict, to_params
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.networks.kdfsrnet import Architecture
from metaf2n_tf.weights import tf1_checkpoint
from metaf2n_tf.weights.face_networks import load_kdfsrnet, load_kdfsrnet_teacher

STUDENT, TEACHER = Architecture(3, 16, 2), Architecture(6, 16, 1)


def as_net1(state):
    """`downN` and `upN` are modules there, with the convolution under a name of its own."""
    names = {
        f"{way}{level}.{place}": f"{way}{level}.conv" for way, place in (("down", 1), ("up", 0)) for level in "1234"
    }
    stem, leaf = 0, 2
    parts = {name: name.rpartition(".") for name in state}
    return {f"{names.get(part[stem], part[stem])}.{part[leaf]}": state[name] for name, part in parts.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{name}": value for name, value in state.items()},
        as_net1,
        lambda state: {name: value for name, value in state.items() if not name.startswith(("sub_mean", "add_mean"))},
    ],
    ids=["bare", "module", "net1", "without the unused means"],
)
def test_every_way_the_file_is_shared(tmp_path, wrap):
    state = tiny_state_dict(STUDENT) | {
        f"{name}.{leaf}": value
        for name in ("sub_mean", "add_mean")
        for leaf, value in (("weight", np.eye(3, dtype=np.float32)[:, :, None, None]), ("bias", np.ones(3, np.float32)))
    }
    write_pth(tmp_path / "FFHQ_x8.pth", wrap(state))
    params = load_kdfsrnet(tmp_path / "FFHQ_x8.pth")
    expected = to_params(tiny_state_dict(STUDENT))
    assert set(params) == set(expected)
    for name, value in params.items():
        np.testing.assert_array_equal(value, expected[name])


def test_the_published_file(tmp_path):
    """All 456 entries."""
    write_pth(tmp_path / "CelebA_x8.pth", state_dict("student"))
    assert kdfsrnet.architecture_of(load_kdfsrnet(tmp_path / "CelebA_x8.pth")) == kdfsrnet.STUDENT


def test_our_own_training(tmp_path):
    params = kdfsrnet.initial_params(0, STUDENT)
    moments = {f"{name}/Adam": value for name, value in params.items()}
    tf1_checkpoint.write_checkpoint(tmp_path / "model-3", params | moments | {"global_step": np.int64(3)})
    for place in (tmp_path, tmp_path / "model-3"):
        loaded = load_kdfsrnet(place)
        assert set(loaded) == set(params)
        np.testing.assert_array_equal(loaded["tail.0.weight"], params["tail.0.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("up3.0.bias"), "up3.0.bias is missing"),
        (lambda state: state.pop("head.0.weight"), "head.0.weight is missing or no kernel, so this is not KDFSRNet"),
        (lambda state: state.update({"tail.0.bias": np.zeros(4, np.float32)}), r"tail.0.bias has shape \(4,\)"),
        (lambda state: state["head.0.bias"].fill(np.inf), "head.0.bias holds values that are not finite"),
        (lambda state: state.clear(), "holds no dict of tensors"),
    ],
)
def test_other_files_are_refused(tmp_path, change, message):
    state = tiny_state_dict(STUDENT)
    change(state)
    write_pth(tmp_path / "student.pth", state)
    with pytest.raises(UserError, match=message):
        load_kdfsrnet(tmp_path / "student.pth")


def test_teacher_and_student_are_told_apart(tmp_path):
    write_pth(tmp_path / "student.pth", tiny_state_dict(STUDENT))
    write_pth(tmp_path / "teacher.pth", tiny_state_dict(TEACHER))
    assert kdfsrnet.architecture_of(load_kdfsrnet_teacher(tmp_path / "teacher.pth")) == TEACHER
    with pytest.raises(UserError, match="is KDFSRNet's teacher .6 channels in., expected its student"):
        load_kdfsrnet(tmp_path / "teacher.pth")
    with pytest.raises(UserError, match="expected its teacher"):
        load_kdfsrnet_teacher(tmp_path / "student.pth")
    with pytest.raises(UserError, match="no such file"):
        load_kdfsrnet(tmp_path / "nothing.pth")
