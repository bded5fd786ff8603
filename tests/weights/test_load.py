import numpy as np
import pytest
import tensorflow as tf
from conftest import make_tiny_sr

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import masknet
from metaf2n_tf.weights import load, npz, tf1_checkpoint


@pytest.fixture
def variables(golden_mask):
    return make_tiny_sr() | golden_mask


def save(tmp_path, variables, name="model-7"):
    tf1_checkpoint.write_checkpoint(tmp_path / name, variables)
    return tmp_path / name


def test_identity_does_not_depend_on_the_format(tmp_path, tiny_sr):
    npz.write_npz(tmp_path / "sr.npz", tiny_sr)
    weights = load.load_weights(tmp_path / "sr.npz")
    again = load.Weights("elsewhere", dict(reversed(tiny_sr.items())), None)
    assert weights.identity == again.identity
    changed = {name: value + 1e-7 for name, value in tiny_sr.items()}
    assert load.Weights("", changed, None).identity != weights.identity


def test_npz_is_exact_and_half_size_where_float16_is_enough(tmp_path, tiny_sr):
    halves = {name: value.astype(np.float16).astype(np.float32) for name, value in tiny_sr.items()}
    npz.write_npz(tmp_path / "half.npz", halves)
    npz.write_npz(tmp_path / "full.npz", tiny_sr)
    for file, expected in (("half.npz", halves), ("full.npz", tiny_sr)):
        found = npz.read_npz(tmp_path / file)
        assert list(found) == list(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert (tmp_path / "half.npz").stat().st_size < (tmp_path / "full.npz").stat().st_size
    assert {file.name for file in tmp_path.iterdir()} == {"half.npz", "full.npz"}


def test_plain_and_meta_trained_weights_are_told_apart(tmp_path, tiny_sr, variables):
    npz.write_npz(tmp_path / "plain.npz", tiny_sr)
    plain = load.load_weights(tmp_path / "plain.npz")
    trained = load.load_weights(save(tmp_path, variables))
    assert (plain.kind, plain.mask) == (load.PLAIN, None)
    assert trained.kind == load.META_TRAINED
    assert set(trained.mask) == set(masknet.variable_shapes())
    assert (trained.task_lr, plain.task_lr) == (1e-2, 1e-3)


@pytest.mark.parametrize(
    "form", ["Model0/model-7", "Model0/model-7.index", "Model0/model-7.data-00000-of-00001", "Model0"]
)
def test_checkpoints_are_found_by_prefix_file_and_folder(tmp_path, variables, form):
    save(tmp_path, variables, "Model0/model-7")
    weights = load.load_weights(tmp_path / form)
    assert weights.source.endswith("model-7")
    assert all(np.array_equal(weights.sr[name], variables[name]) for name in weights.sr)


def test_a_folder_means_its_newest_checkpoint(tmp_path, variables):
    save(tmp_path, variables, "model-7")
    newer = {name: value + 1 for name, value in variables.items()}
    save(tmp_path, newer, "model-12")
    name = "MODEL/conv_last/bias"
    assert load.load_weights(tmp_path).sr[name][0] == newer[name][0]
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(UserError, match="several checkpoints; name one of model-12, model-7"):
        load.load_weights(tmp_path)


def test_training_variables_beside_ours_do_no_harm(tmp_path, variables):
    extra = {f"{name}/Adam": value for name, value in variables.items()}
    extra |= {"global_step": np.int32(7), "stop_grad": np.bool_(False), "beta1_power": np.float32(0.9)}
    weights = load.load_weights(save(tmp_path, variables | extra))
    assert len(weights.sr) + len(weights.mask) == len(variables)


def published_graph(variables):
    """The published code's way: one variable a name, restored by two name-based Savers."""
    graph = tf.Graph()
    with graph.as_default():
        for name, value in variables.items():
            tf.compat.v1.get_variable(name, value.shape, tf.as_dtype(value.dtype), use_resource=False)
    return graph


def test_published_saver_restores_what_we_write(tmp_path, variables):
    prefix = save(tmp_path, variables)
    graph = published_graph(variables)
    with graph.as_default(), tf.compat.v1.Session() as session:
        for scope in ("MODEL", "Mask"):
            collection = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES, scope)
            tf.compat.v1.train.Saver(var_list=collection).restore(session, str(prefix))
        for name, value in variables.items():
            np.testing.assert_array_equal(session.run(graph.get_tensor_by_name(f"{name}:0")), value)
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert state.model_checkpoint_path == str(prefix)


def test_we_read_what_the_published_saver_writes(tmp_path, variables):
    graph = published_graph(variables)
    with graph.as_default(), tf.compat.v1.Session() as session:
        for variable in tf.compat.v1.global_variables():
            variable.load(variables[variable.op.name], session)
        tf.compat.v1.train.Saver(max_to_keep=100000).save(session, str(tmp_path / "model"), global_step=1000)
    for path in (tmp_path, tmp_path / "model-1000"):
        weights = load.load_weights(path)
        found = weights.sr | weights.mask
        assert all(np.array_equal(found[name], variables[name]) for name in variables)


def without(name):
    return lambda variables: variables.pop(name)


def reshaped(name):
    return lambda variables: variables.update({name: variables[name][..., :-1]})


def not_finite(name):
    return lambda variables: variables.update({name: np.full_like(variables[name], np.nan)})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("MODEL/conv_hr/bias"), "variable MODEL/conv_hr/bias is missing"),
        (without("MODEL/body/0/rdb2/conv3/weight"), "variable MODEL/body/0/rdb2/conv3/weight is missing"),
        (without("MODEL/conv_first/bias"), "not an RRDBNet of MetaF2N"),
        (without("Mask/conv5/kernel"), "variable Mask/conv5/kernel is missing"),
        (reshaped("MODEL/conv_up1/weight"), r"MODEL/conv_up1/weight has shape \(3, 3, 8, 7\), expected \(3, 3, 8, 8\)"),
        (reshaped("Mask/conv8/kernel"), "Mask/conv8/kernel has shape"),
        (not_finite("MODEL/conv_body/bias"), "MODEL/conv_body/bias holds values that are not finite"),
    ],
)
def test_wrong_variables_are_named(tmp_path, variables, spoil, message):
    spoil(variables)
    with pytest.raises(UserError, match=message) as caught:
        load.load_weights(save(tmp_path, variables))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_masknet_is_plain_and_with_a_part_of_it_refused(tmp_path, tiny_sr, variables):
    assert load.load_weights(save(tmp_path, tiny_sr)).kind == load.PLAIN
    del variables["Mask/conv1/kernel"]
    with pytest.raises(UserError, match="Mask/conv1/kernel is missing"):
        load.load_weights(save(tmp_path, variables))


def test_truncated_checkpoint(tmp_path, variables):
    prefix = save(tmp_path, variables)
    data = prefix.with_name("model-7.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:5000])
    with pytest.raises(UserError, match="not a readable TensorFlow checkpoint, or damaged"):
        load.load_weights(prefix)
    data.unlink()
    with pytest.raises(UserError, match="not a readable TensorFlow checkpoint, or damaged"):
        load.load_weights(prefix)


def test_unknown_and_absent_files(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match=r"notes.txt: not a known weight file"):
        load.load_weights(tmp_path / "notes.txt")
    with pytest.raises(UserError, match=r"text.npz: not a readable .npz file"):
        load.load_weights(tmp_path / "text.npz")
    for absent in ("model-new", "nothing.pth"):
        with pytest.raises(UserError, match=f"{absent}: no"):
            load.load_weights(tmp_path / absent)
    with pytest.raises(UserError, match="no weights there"):
        load.load_weights(tmp_path)


def test_truncated_npz(tmp_path, tiny_sr):
    npz.write_npz(tmp_path / "sr.npz", tiny_sr)
    (tmp_path / "sr.npz").write_bytes((tmp_path / "sr.npz").read_bytes()[:-200])
    with pytest.raises(UserError, match="truncated, or another kind"):
        load.load_weights(tmp_path / "sr.npz")
