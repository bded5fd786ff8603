"""A training of a compact network whose inner loop's rates are learned, without a discriminator."""

import json

import numpy as np
import pytest
import srvgg_weights
import tensorflow as tf
import tiny_training

import config
from metaf2n_tf.errors import UserError
from metaf2n_tf.meta import checkpoint
from metaf2n_tf.meta.settings import read_settings
from metaf2n_tf.meta.trainer import Trainer, TrainingRun, train, untrained_state
from metaf2n_tf.weights import load, npz, tf1_checkpoint, training_folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The settings of such a training, which starts from weights with a bit of another network's."""
    folder = tmp_path_factory.mktemp("compact")
    values = tiny_training.make_sets(folder)
    for name, seed in (("compact", 5), ("other", 6)):
        npz.write_npz(folder / f"{name}.npz", srvgg_weights.make_tiny(seed=seed))
    return values | {
        "SR_WEIGHTS": str(folder / "compact.npz"),
        "SR_BLEND": f"{folder}/other.npz:0.25",
        "DISCRIMINATOR_WEIGHTS": "nowhere.pth",
        "GAN_WEIGHT": 0.0,
        "LEARN_TASK_LR": True,
        "UNADAPTED_WEIGHT": 0.5,
        "OUTER_TARGET": "plain",
        "META_LR_DECAY": 1.0,
        "CLIP_NORM": 1.0,
        "MASK_WIDTH": 8,
        "MASK_BIAS": 0.5,
        "META_ITER": 5,
        "SAVE_ITER": 5,
        "RESTORER": "none",
    }


def settings_for(prepared, place, **changes):
    return read_settings(
        vars(config) | prepared | {"CHECKPOINT_DIR": str(place), "LOG_DIR": str(place / "logs")} | changes
    )


@pytest.fixture(scope="module")
def straight(prepared, tmp_path_factory):
    """Five steps without a break."""
    place = tmp_path_factory.mktemp("straight")
    assert train(settings_for(prepared, place), TrainingRun()) is None
    return place


def variables(place, step):
    return tf1_checkpoint.read_checkpoint(place / "Model0" / f"model-{step}")


def test_the_start_is_the_blend_with_drawn_parts(prepared, straight):
    start, one, other = variables(straight, 0), srvgg_weights.make_tiny(seed=5), srvgg_weights.make_tiny(seed=6)
    for name, value in one.items():
        np.testing.assert_allclose(start[name], 0.75 * value + 0.25 * other[name], rtol=0, atol=1e-6)
        np.testing.assert_allclose(np.exp(start[f"TaskLR/{name}"]), 1e-2, rtol=1e-6)
    assert start["Mask/conv2/kernel"].shape == (3, 3, 8, 8)
    assert start["Mask/conv8/bias"] == 0.5
    assert not [name for name in start if name.startswith("Discriminator/") or name.startswith("beta1_power_")]


@pytest.mark.slow
def test_resuming_gives_the_same_bits(prepared, straight, tmp_path):
    assert train(settings_for(prepared, tmp_path, META_ITER=3), TrainingRun()) is None
    assert train(settings_for(prepared, tmp_path), TrainingRun(resume=True)) is None
    ours, expected = variables(tmp_path, 5), variables(straight, 5)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_its_checkpoint_serves_for_testing_with_the_rates_it_learned(straight):
    start, end = variables(straight, 0), variables(straight, 5)
    weights = load.load_weights(straight / "Model0")
    assert weights.kind == load.META_TRAINED
    assert set(weights.task_lr) == set(srvgg_weights.make_tiny())
    moved = 0
    for name, rate in weights.task_lr.items():
        np.testing.assert_allclose(np.log(rate), end[f"TaskLR/{name}"], rtol=1e-5)
        moved += not np.array_equal(end[f"TaskLR/{name}"], start[f"TaskLR/{name}"])
    assert moved > len(weights.task_lr) / 2
    assert all(np.array_equal(weights.variables[name], end[name]) for name in weights.variables)


def test_a_checkpoint_without_a_discriminator_is_restored_whole(straight):
    _, prefix = training_folder.newest(straight / "Model0")
    state = checkpoint.restore(prefix)
    assert (state.discriminator, state.discriminator_adam.first) == ({}, {})
    again = checkpoint.to_variables(state, 5, False)
    expected = variables(straight, 5)
    assert set(again) == set(expected)
    assert all(np.array_equal(again[name], value) for name, value in expected.items())


def test_the_published_saver_restores_it(straight):
    expected, v1, graph = variables(straight, 5), tf.compat.v1, tf.Graph()
    with graph.as_default():
        for name, value in expected.items():
            v1.get_variable(name, value.shape, tf.as_dtype(value.dtype), use_resource=False)
        saver = v1.train.Saver()
    with v1.Session(graph=graph) as session:
        saver.restore(session, str(straight / "Model0" / "model-5"))
        for name, value in expected.items():
            np.testing.assert_array_equal(session.run(graph.get_tensor_by_name(f"{name}:0")), value)


def test_settings_are_kept_beside_the_checkpoints(straight):
    kept = json.loads((straight / "Model0" / "config.json").read_text())
    assert (kept["LEARN_TASK_LR"], kept["GAN_WEIGHT"], kept["OUTER_TARGET"]) == (True, 0.0, "plain")


def test_plain_training_goes_on_to_meta_training_in_another_trial(prepared, tmp_path):
    """Its checkpoint holds the network alone; under the same trial that is said in one line."""
    plain = settings_for(prepared, tmp_path, INNER_LOOP=False)
    checkpoint.save(tmp_path / "Model0", untrained_state(plain), 1, False, 0)
    assert Trainer(plain, TrainingRun(resume=True)).step == 1
    names = {name for name in variables(tmp_path, 1) if "Adam" not in name}
    assert names == {*srvgg_weights.make_tiny(), "beta1_power", "beta2_power", "global_step", "stop_grad"}
    prefix = tmp_path / "Model0" / "model-1"
    with pytest.raises(UserError, match=r"^INNER_LOOP = True: .*model-1 has no MaskNet. Remedy: .*SR_WEIGHTS=\S+$"):
        Trainer(settings_for(prepared, tmp_path), TrainingRun(resume=True))
    with pytest.raises(UserError, match="INNER_LOOP = True"):
        Trainer(settings_for(prepared, tmp_path), TrainingRun(step=1))
    state = untrained_state(settings_for(prepared, tmp_path, SR_WEIGHTS=str(prefix), SR_BLEND=""))
    trained = variables(tmp_path, 1)
    for name in srvgg_weights.make_tiny():
        np.testing.assert_array_equal(state.generator[name], trained[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GAN_WEIGHT": 0.1}, "GAN_WEIGHT = 0.1: .*model-5 has no discriminator"),
        ({"CONTEXT_BRANCH": True}, "CONTEXT_BRANCH = True: .*model-5 has no context branch"),
        ({"INNER_LOOP": False}, "INNER_LOOP = False: .*model-5 is of a meta-training. Remedy: .*SR_WEIGHTS="),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(prepared, straight, changes, message):
    with pytest.raises(UserError, match=message):
        Trainer(settings_for(prepared, straight, **changes), TrainingRun(resume=True))


def test_learned_rates_and_masknet_go_on_in_another_trial(prepared, straight, tmp_path):
    start = load.load_weights(straight / "Model0" / "model-5")
    state = untrained_state(settings_for(prepared, tmp_path, SR_WEIGHTS=start.source, SR_BLEND=""))
    for name, value in ((start.mask or {}) | start.log_rates).items():
        np.testing.assert_array_equal(state.generator[name], value)


def test_rates_that_a_checkpoint_lacks_are_not_left_out_in_silence(prepared, tmp_path):
    settings = settings_for(prepared, tmp_path, LEARN_TASK_LR=False)
    checkpoint.save(tmp_path / "Model0", untrained_state(settings), 3, False, 0)
    assert Trainer(settings, TrainingRun(resume=True)).step == 3
    with pytest.raises(UserError, match="LEARN_TASK_LR = True: .*model-3 has no learned rates"):
        Trainer(settings_for(prepared, tmp_path), TrainingRun(resume=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SR_BLEND": "other.npz:2"}, "SR_BLEND = other.npz:2: expected FILE:SHARE, the share from 0 to 1"),
        ({"GAN_WEIGHT": 0.1}, "DISCRIMINATOR_WEIGHTS = nowhere.pth: no such file. .* or GAN_WEIGHT=0"),
    ],
)
def test_a_start_that_cannot_be_is_one_line(prepared, tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        Trainer(settings_for(prepared, tmp_path, **changes), TrainingRun())
    assert "\n" not in str(caught.value)


# ---- a branch for context


def test_a_context_branch_is_drawn_and_has_rates_too(prepared, tmp_path):
    state = untrained_state(settings_for(prepared, tmp_path, CONTEXT_BRANCH=True))
    branch = {name for name in state.generator if name.startswith("MODEL/context/")}
    assert len(branch) == 24
    rates = {name for name in state.generator if name.startswith("TaskLR/")}
    assert rates == {f"TaskLR/{name}" for name in branch | set(srvgg_weights.make_tiny())}
    assert not np.any(state.generator["MODEL/context/up0/weight"])
    prefix = checkpoint.save(tmp_path / "Model0", state, 0, False, 0)
    assert set(load.load_weights(prefix).task_lr) == branch | set(srvgg_weights.make_tiny())


def test_only_a_compact_network_without_a_branch_can_get_one(prepared, tmp_path):
    npz.write_npz(tmp_path / "context.npz", srvgg_weights.make_tiny_context())
    for weights in (tmp_path / "context.npz", prepared["SR_WEIGHTS"].replace("compact.npz", "sr.npz")):
        settings = settings_for(prepared, tmp_path, CONTEXT_BRANCH=True, SR_WEIGHTS=str(weights), SR_BLEND="")
        with pytest.raises(UserError, match="CONTEXT_BRANCH: .* is no SRVGGNetCompact without one"):
            untrained_state(settings)


# ---- settings


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("OUTER_TARGET=usm", "OUTER_TARGET = 'usm': expected sharpened or plain"),
        ("LPIPS_WEIGHT=-1", "LPIPS_WEIGHT = -1.0: expected a number of at least 0"),
        ("UNADAPTED_WEIGHT=much", "set=UNADAPTED_WEIGHT=much: expected float, like 0.0"),
        ("CLIP_NORM=nan", "CLIP_NORM = nan: expected a number of at least 0"),
        ("META_LR_DECAY=inf", "META_LR_DECAY = inf: expected a number"),
        ("META_LR_DECAY=1.5", "META_LR_DECAY = 1.5: expected a number from 0 to 1"),
        ("MASK_WIDTH=0", "MASK_WIDTH = 0: expected a whole number of at least 1"),
        ("INNER_LOOP=perhaps", "set=INNER_LOOP=perhaps: expected bool, like True"),
        ("SR_BLENT=a", "set=SR_BLENT: no such name in config.py; SR_BLEND?"),
    ],
)
def test_settings_mistakes_are_one_line(assignment, message):
    with pytest.raises(UserError) as caught:
        read_settings(config, [assignment])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_rates_are_not_learned_from_zero():
    with pytest.raises(UserError, match="TASK_LR = 0.0: expected more than 0 where rates are learned"):
        read_settings(config, ["TASK_LR=0", "LEARN_TASK_LR=true"])
    assert read_settings(config, ["TASK_LR=0"]).TASK_LR == 0
