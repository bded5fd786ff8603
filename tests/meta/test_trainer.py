import logging
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
import tiny_training

import config
from metaf2n_tf.data import files
from metaf2n_tf.errors import DivergedError, UserError
from metaf2n_tf.meta import trainer
from metaf2n_tf.meta.settings import read_settings
from metaf2n_tf.meta.trainer import Trainer, TrainingRun, train, untrained_state
from metaf2n_tf.weights import tf1_checkpoint, training_folder


@pytest.fixture
def lines(caplog):
    """What is logged, line by line."""
    caplog.set_level(logging.INFO, "metaf2n_tf")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    return folder, tiny_training.make_sets(folder)


def settings_for(prepared, place, **changes):
    """Settings of a run whose checkpoints start as the prepared ones and go to `place`."""
    folder, values = prepared
    if not place.exists():
        shutil.copytree(folder / "weights", place)
    values = values | {"CHECKPOINT_DIR": str(place), "LOG_DIR": str(place / "logs")} | changes
    return read_settings(vars(config) | values)


def variables(place, step):
    return tf1_checkpoint.read_checkpoint(place / "Model0" / f"model-{step}")


@pytest.fixture(scope="module")
def straight(prepared, tmp_path_factory):
    """Four steps without a break."""
    place = tmp_path_factory.mktemp("straight") / "weights"
    assert train(settings_for(prepared, place), TrainingRun()) is None
    return place


def test_checkpoints_and_logs_of_a_run(straight):
    assert {path.stem for path in (straight / "Model0").glob("*.index")} == {"model-0", "model-2", "model-4"}
    assert (straight / "Model0" / "config.json").is_file()
    assert variables(straight, 4)["global_step"] == 4
    (events,) = (straight / "logs0").iterdir()
    scalars, images = {}, set()
    for record in tf.compat.v1.train.summary_iterator(str(events)):
        for value in record.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            if plugin == "scalars":
                scalars.setdefault(value.tag, []).append((record.step, float(tf.make_ndarray(value.tensor))))
            elif plugin == "images":
                images.add(value.tag)
    assert {
        "Train_inner_loop_loss",
        "Train_outer_loop_loss__step_0",
        "Train_outer_loop_loss__step_1",
        "Discriminator_loss__step_1",
        *(f"Train_outer_loop_{term}_loss__step_{step}" for term in ("l1", "vgg", "gan") for step in (0, 1)),
    } <= set(scalars)
    assert [step for step, _ in scalars["Train_inner_loop_loss"]] == [1, 2, 4]
    assert images == {
        "1.inputa_query",
        "2.labela_query",
        "3.inputb_query",
        "4.init_outputb_query",
        "5.outputb_query",
        "6.GT",
        "7.GT_Nousm",
        "8.W",
    }


def test_step_must_be_the_newest_checkpoints(prepared, straight, tmp_path):
    settings = settings_for(prepared, straight)
    for options, message in (
        (TrainingRun(step=2), "is of step 4"),
        (TrainingRun(), "is of step 4"),
        (TrainingRun(step=4, resume=True), "leave step out"),
        (TrainingRun(trial=7, step=3), "there is no checkpoint in .*Model7"),
    ):
        with pytest.raises(UserError, match=message):
            Trainer(settings, options)
    assert Trainer(settings, TrainingRun(step=4)).step == 4
    assert Trainer(settings, TrainingRun(resume=True)).step == 4
    assert train(settings, TrainingRun(resume=True)) is None  # META_ITER steps are done


def test_sigterm_saves_and_resuming_gives_the_same_bits(prepared, straight, tmp_path, monkeypatch, lines):
    place = tmp_path / "weights"
    settings = settings_for(prepared, place, SAVE_ITER=100)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    real = trainer.Replicas.step

    def step(self, state, batch, number):
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, state, batch, number)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Replicas, "step", step)
        assert train(settings, TrainingRun()) == signal.SIGTERM
    assert "stopped by a signal after step 3; resume goes on" in lines()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert train(settings_for(prepared, place), TrainingRun(resume=True)) is None
    assert "SAVE_ITER was 100 up to here and is 2 now" in lines()
    ours, expected = variables(place, 4), variables(straight, 4)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_steps_that_are_not_finite_are_skipped_and_end_the_run(prepared, tmp_path, monkeypatch, lines):
    place = tmp_path / "weights"
    settings = settings_for(prepared, place, META_ITER=50, MAX_SKIPPED=2)
    real = trainer.Replicas.step
    poisoned = {0, 2, 3}

    def step(self, state, batch, number):
        if number in poisoned:
            batch = batch._replace(labelb=batch.labelb * float("nan"))
        return real(self, state, batch, number)

    monkeypatch.setattr(trainer.Replicas, "step", step)
    with pytest.raises(DivergedError, match=f"diverged.*{place / 'Model0' / 'model-2'}"):
        train(settings, TrainingRun())
    assert training_folder.newest(place / "Model0")[0] == 2  # nothing was saved after the steps that failed
    assert all(np.all(np.isfinite(value)) for value in variables(place, 2).values())
    said = "\n".join(lines())
    assert said.count("no update (1 in a row)") == 2
    assert "no update (2 in a row)" in said


def test_a_missing_restorer_is_named_as_in_config_py(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = settings_for(prepared, tmp_path / "weights", RESTORER="gpen_256")
    with pytest.raises(UserError, match="RESTORER = gpen_256: there is no weights/GPEN-BFR-256.pth.*RESTORER=self_ens"):
        Trainer(settings, TrainingRun())


def test_a_folder_is_for_one_run_at_a_time(prepared, tmp_path, lines):
    settings = settings_for(prepared, tmp_path / "weights")
    with files.alone_in(tmp_path / "weights" / "Model0"), pytest.raises(UserError, match="another run is writing"):
        train(settings, TrainingRun())


def test_flags_of_the_method_are_kept_and_compared(prepared, straight, lines):
    settings = settings_for(prepared, straight)
    effective = Trainer(settings, TrainingRun(step=4, first_order=True)).effective
    training_folder.save_settings(straight / "Model0" / "config.json", effective)
    assert "--first_order was False up to here and is True now" in lines()


@pytest.mark.parametrize(
    ("error", "message"),
    [(tf.errors.ResourceExhaustedError, "Remedy: recompute, "), (tf.errors.UnavailableError, "another process")],
)
def test_memory_and_lost_processes_are_one_line(monkeypatch, error, message):
    def fail(*_):
        raise error(None, None, "all kinds of details")

    monkeypatch.setattr(trainer, "Trainer", fail)
    with pytest.raises(UserError, match=message):
        train(read_settings(config), TrainingRun())


def test_logs_that_cannot_be_written_do_not_start(prepared, tmp_path):
    (tmp_path / "logs0").write_text("in the way")
    settings = settings_for(prepared, tmp_path / "weights", LOG_DIR=str(tmp_path / "logs"))
    with pytest.raises(UserError, match="logs0: cannot make this folder"):
        train(settings, TrainingRun())


@pytest.mark.parametrize("has", [["bfloat16"], ["float16"], []])
def test_mixed_precision_warns_where_it_is_slow(prepared, tmp_path, monkeypatch, lines, has):
    monkeypatch.setattr(trainer.runtime, "reduced_precisions", lambda: has)
    Trainer(settings_for(prepared, tmp_path / "weights"), TrainingRun(mixed_precision=True))
    warned = [line for line in lines() if line.startswith("mixed_precision: this device has no instructions for bf")]
    assert len(warned) == ("bfloat16" not in has)


@pytest.mark.slow
def test_a_dry_run_keeps_nothing(prepared, tmp_path, lines):
    place = tmp_path / "weights"
    settings = settings_for(prepared, place)
    before = sorted(tmp_path.rglob("*"))
    assert train(settings, TrainingRun(dry_run=True)) is None
    assert sorted(tmp_path.rglob("*")) == before
    said = "\n".join(lines())
    assert "MaskNet: 225,665 parameters" in said
    assert "second step" in said
    assert "GB" in said


def test_training_starts_from_published_weights(prepared, lines):
    folder, values = prepared
    settings = read_settings(vars(config) | values)
    state = untrained_state(settings)
    assert "MODEL/body/1/rdb3/conv5/weight" in state.generator
    np.testing.assert_array_equal(state.generator["Mask/conv8/bias"], [0.0])
    again = untrained_state(settings)
    for one, other in zip(tf.nest.flatten(state), tf.nest.flatten(again), strict=True):
        np.testing.assert_array_equal(one, other)
    meta_trained = read_settings(vars(config) | values | {"SR_WEIGHTS": str(folder / "weights" / "Model0" / "model-0")})
    mask = untrained_state(meta_trained).generator["Mask/conv8/bias"]
    np.testing.assert_allclose(mask, [0.05], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("SR_WEIGHTS", "realesrgan-x4plus"),
        ("DISCRIMINATOR_WEIGHTS", "DISCRIMINATOR_WEIGHTS=random"),
        ("LPIPS_WEIGHTS", "lpips-alex"),
    ],
)
def test_missing_weights_say_where_they_come_from(prepared, name, remedy):
    _, values = prepared
    settings = read_settings(vars(config) | values | {name: "nowhere.pth"})
    with pytest.raises(UserError, match=f"{name} = nowhere.pth.*{remedy}"):
        Trainer(settings, TrainingRun(trial=1))
