"""Files of compact networks, blends of two of them, and learned rates."""

import numpy as np
import pytest
import srvgg_weights
import tensorflow as tf
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import masknet
from metaf2n_tf.weights import load, ncnn, npz, tf1_checkpoint


@pytest.fixture
def params():
    return srvgg_weights.make_tiny()


@pytest.fixture
def rates(params):
    return {f"TaskLR/{name}": np.float32(-index) for index, name in enumerate(params)}


def files(folder, params):
    """One network in every format."""
    write_pth(folder / "a.pth", {"params": srvgg_weights.to_state_dict(params)})
    srvgg_weights.write_ncnn(folder / "b.bin", params)
    npz.write_npz(folder / "c.npz", params)
    tf1_checkpoint.write_checkpoint(folder / "model-1", params)
    return [folder / name for name in ("a.pth", "b.bin", "b.param", "c.npz", "model-1")]


@pytest.mark.parametrize(
    "params", [srvgg_weights.make_tiny(), srvgg_weights.make_tiny(0, 5), srvgg_weights.make_tiny(16, 24)]
)
def test_every_format_gives_the_same_bits(tmp_path, params):
    """Kernels are float16-exact, as ncnn stores them; 3 x 3 x 3 x 5 of them need padding there."""
    identities = set()
    for path in files(tmp_path, params):
        weights = load.load_weights(path)
        assert weights.kind == load.PLAIN
        assert list(weights.sr) == list(params)
        for name, value in params.items():
            np.testing.assert_array_equal(weights.sr[name], value, err_msg=f"{path} {name}")
        identities.add(weights.identity)
    assert len(identities) == 1


def test_a_context_branch_is_read_off_the_file(tmp_path):
    params = srvgg_weights.make_tiny_context()
    write_pth(tmp_path / "a.pth", srvgg_weights.to_state_dict(params))
    npz.write_npz(tmp_path / "b.npz", params)
    tf1_checkpoint.write_checkpoint(tmp_path / "model-1", params)
    found = [load.load_weights(tmp_path / name) for name in ("a.pth", "b.npz", "model-1")]
    assert len({weights.identity for weights in found}) == 1
    assert all(np.array_equal(found[0].sr[name], value) for name, value in params.items())


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (".bin", lambda blob: blob[:-9], "net.bin: truncated at MODEL/body/6"),
        (".bin", lambda blob: blob + b"1234", "net.bin: 4 bytes too long"),
        (".param", lambda text: text.replace(b"PReLU", b"ReLU", 1), "4 convolutions and 2 PReLUs are neither"),
        (
            ".param",
            lambda text: text.replace(b"0=48", b"0=12"),
            "MODEL/body/6/weight has 12 outputs .* not the 48 .* of scale 4",
        ),
        (".param", lambda text: text.replace(b"0=8", b"0=x", 1), "damaged at"),
    ],
)
def test_damaged_ncnn_files_are_named(tmp_path, params, file, change, message):
    path = tmp_path / "net.bin"
    srvgg_weights.write_ncnn(path, params)
    edit(path.with_suffix(file), change)
    with pytest.raises(UserError, match=message):
        ncnn.read_ncnn(path)


# ---- blends


@pytest.fixture
def two(tmp_path, params):
    """Two networks of one kind, the first one with a MaskNet and rates of its own."""
    other = srvgg_weights.make_tiny(seed=6)
    first = params | masknet.initial_params(0, 4) | {f"TaskLR/{name}": np.float32(-3) for name in params}
    npz.write_npz(tmp_path / "first.npz", first)
    npz.write_npz(tmp_path / "other.npz", other)
    return tmp_path / "first.npz", tmp_path / "other.npz", params, other


@pytest.mark.parametrize("share", ["0", "0.5", "1", "0.25"])
def test_a_blend_is_the_weighted_mean(two, share):
    path, other_path, params, other = two
    weights = load.load_weights(path, f"{other_path}:{share}")
    plain = load.load_weights(path)
    for name, value in weights.sr.items():
        expected = (1 - float(share)) * np.float64(params[name]) + float(share) * np.float64(other[name])
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-7)
        assert value.dtype == np.float32
    assert (weights.identity == plain.identity) == (share == "0")
    assert all(np.array_equal(weights.mask[name], value) for name, value in plain.mask.items())
    assert weights.log_rates == plain.log_rates
    assert f"first.npz with {share} of " in str(weights)
    assert str(other_path) in str(weights)


@pytest.mark.parametrize("blend", [None, ""])
def test_no_blend_is_none(two, blend):
    assert load.load_weights(two[0], blend).identity == load.load_weights(two[0]).identity


@pytest.mark.parametrize(
    "blend", ["other.npz", "other.npz:", ":0.5", "other.npz:half", "other.npz:1.5", "other.npz:-0.1", "other.npz:nan"]
)
def test_shares_that_make_no_sense_are_refused(two, monkeypatch, blend):
    monkeypatch.chdir(two[0].parent)
    with pytest.raises(UserError, match=f"blend={blend}: expected FILE:SHARE, the share from 0 to 1$"):
        load.load_weights("first.npz", blend)


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (srvgg_weights.make_tiny(3), "MODEL/body/"),
        (srvgg_weights.make_tiny(2, 9), "MODEL/body/0/weight"),
        (srvgg_weights.make_tiny_context(2), "MODEL/context/"),
    ],
)
def test_blends_of_two_networks_are_refused(two, tmp_path, other, shown):
    npz.write_npz(tmp_path / "x.npz", other)
    with pytest.raises(UserError, match=f"first.npz and .*x.npz: not of one network, as {shown}"):
        load.load_weights(two[0], f"{tmp_path}/x.npz:0.5")
    with pytest.raises(UserError, match=r"absent.npz: no weights there"):
        load.load_weights(two[0], f"{tmp_path}/absent.npz:0.5")


# ---- MaskNet and learned rates


@pytest.mark.parametrize("width", [16, 64])
def test_the_masknets_width_is_read_off_the_file(tmp_path, params, width):
    mask = masknet.initial_params(0, width, bias=0.5)
    tf1_checkpoint.write_checkpoint(tmp_path / "model-1", params | mask)
    weights = load.load_weights(tmp_path)
    assert weights.kind == load.META_TRAINED
    assert weights.mask["Mask/conv2/kernel"].shape == (3, 3, width, width)
    assert all(np.array_equal(weights.mask[name], value) for name, value in mask.items())
    assert (weights.mask["Mask/conv8/bias"], weights.mask["Mask/conv7/bias"][0]) == (0.5, 0)


def test_a_rate_beyond_all_numbers_is_refused(tmp_path, params, rates):
    npz.write_npz(tmp_path / "a.npz", params | {name: np.float32(1000) for name in rates})
    with pytest.raises(UserError, match=r"a.npz: variable TaskLR/\S+ is 1000, too large for a rate's logarithm"):
        load.load_weights(tmp_path / "a.npz")


def test_learned_rates_are_read_and_told(tmp_path, params, rates):
    files = {"a.npz": tmp_path / "a.npz", "model-1": tmp_path / "model-1"}
    npz.write_npz(files["a.npz"], params | rates)
    tf1_checkpoint.write_checkpoint(files["model-1"], params | rates)
    identities = set()
    for file in files.values():
        weights = load.load_weights(file)
        assert set(weights.task_lr) == set(params)
        for index, name in enumerate(params):
            np.testing.assert_allclose(weights.task_lr[name], np.exp(-index), rtol=1e-6)
        assert weights.task_lr_on_record == load.LEARNED
        least = f"{np.exp(1 - len(params)):.2g}"
        assert (
            weights.task_lr_in_words == f"one for each variable, from {least} to 1, as these weights have learned them"
        )
        identities.add(weights.identity)
    assert len(identities) == 1
    npz.write_npz(tmp_path / "plain.npz", params)
    plain = load.load_weights(tmp_path / "plain.npz")
    assert plain.identity not in identities
    assert (plain.task_lr, plain.task_lr_on_record, plain.log_rates) == (1e-2, 1e-2, {})
    assert plain.task_lr_in_words == "0.01, the default for plain Real-ESRGAN weights"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"TaskLR/MODEL/body/2/bias": None}, "variable TaskLR/MODEL/body/2/bias is missing"),
        ({"TaskLR/MODEL/body/2/bias": np.zeros(8, np.float32)}, r"TaskLR/MODEL/body/2/bias has shape \(8,\)"),
        ({"TaskLR/MODEL/body/2/bias": np.float32("nan")}, "TaskLR/MODEL/body/2/bias holds values that are not finite"),
    ],
)
def test_damaged_rates_are_named(tmp_path, params, rates, spoil, message):
    found = {name: value for name, value in (params | rates | spoil).items() if value is not None}
    npz.write_npz(tmp_path / "a.npz", found)
    with pytest.raises(UserError, match=message):
        load.load_weights(tmp_path / "a.npz")


def test_the_published_saver_and_ours_read_each_other(tmp_path, params, rates):
    variables = params | masknet.initial_params(0, 16) | rates
    tf1_checkpoint.write_checkpoint(tmp_path / "ours" / "model-7", variables)
    v1, graph = tf.compat.v1, tf.Graph()
    with graph.as_default():
        for name, value in variables.items():
            v1.get_variable(name, value.shape, tf.float32, use_resource=False)
        saver = v1.train.Saver()
    with v1.Session(graph=graph) as session:
        saver.restore(session, str(tmp_path / "ours" / "model-7"))
        for name, value in variables.items():
            np.testing.assert_array_equal(session.run(graph.get_tensor_by_name(f"{name}:0")), value)
        saver.save(session, str(tmp_path / "theirs" / "model"), global_step=1000)
    ours, theirs = (load.load_weights(tmp_path / name) for name in ("ours", "theirs"))
    assert theirs.source.endswith("model-1000")
    assert theirs.identity == ours.identity
