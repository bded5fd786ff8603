import logging
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf
from commands import command, environment, run
from tiny_faces import make_set, settings

from metaf2n_tf.distillation import checkpoint, trainer
from metaf2n_tf.distillation.settings import Settings
from metaf2n_tf.distillation.trainer import train
from metaf2n_tf.errors import DivergedError, UserError
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.weights import tf1_checkpoint, training_folder
from metaf2n_tf.weights.face_networks import load_kdfsrnet, load_kdfsrnet_teacher


@pytest.fixture
def lines(caplog):
    """What is logged, line by line."""
    caplog.set_level(logging.INFO, "metaf2n_tf")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    return {"data": make_set(folder / "train"), "val": make_set(folder / "val", 2, seed=9)}


@pytest.fixture(scope="module")
def teacher(sets, tmp_path_factory):
    """Trained for two epochs of three steps."""
    place = tmp_path_factory.mktemp("runs") / "teacher"
    assert train(settings(place, **sets, keep_checkpoints=0)) is None
    return place


@pytest.fixture(scope="module")
def student(sets, teacher, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "student"
    assert train(settings(place, "student", teacher=str(teacher), **sets)) is None
    return place


def variables(place):
    return tf1_checkpoint.read_checkpoint(training_folder.newest(place)[1])


def assert_same(ours, expected):
    assert set(ours) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def logged(place):
    found = {}
    for path in (place / "logs").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_what_a_run_leaves(teacher, student):
    assert {path.stem for path in teacher.glob("*.index")} == {"model-0", "model-3", "model-6"}
    assert {path.stem for path in student.glob("*.index")} == {"model-3", "model-6"}  # the newest two
    found = logged(teacher)
    assert set(found) == {"train_loss", "train_l1", "train_features", "train_output", "val_psnr_DIC", "val_ssim_DIC"}
    assert set(found["train_loss"]) == set(found["val_psnr_DIC"]) == {1, 2}
    assert found["train_loss"] == pytest.approx(found["train_l1"], rel=1e-5)
    assert found["train_features"][1] == found["train_output"][1] == 0
    taught = logged(student)
    for epoch, weight in ((1, 10), (2, 9)):
        parts = [taught[f"train_{name}"][epoch] for name in ("l1", "features", "output")]
        assert taught["train_loss"][epoch] == pytest.approx(np.dot([1, weight, 0.1], parts), rel=1e-5)
    assert kdfsrnet.architecture_of(load_kdfsrnet(student)).channels == 3
    assert kdfsrnet.architecture_of(load_kdfsrnet_teacher(teacher)).channels == 6


def test_scores_are_those_of_the_files(sets, student):
    """PSNR on Y by hand, of the weights as a restorer would load them."""
    params = load_kdfsrnet(student)
    opened = trainer.faces.open_faces("val", sets["val"], parsing=False)
    (batch,) = trainer.faces.batches(opened, 8, 8, trainer.faces.in_order(2), parsing=False)
    lq, hq = (np.float32(part) / np.float32(255) for part in (batch[..., :3], batch[..., 3:6]))
    y = [
        (np.float64(p[:, 8:-8, 8:-8]) * 255) @ [65.481, 128.553, 24.966] / 255
        for p in (hq, kdfsrnet.forward(params, lq)[1])
    ]
    expected = np.mean(10 * np.log10(255**2 / np.mean((y[0] - y[1]) ** 2, axis=(1, 2))))
    assert logged(student)["val_psnr_DIC"][2] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("last", [pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow), 4])
def test_sigterm_saves_and_resuming_gives_the_same_bits(sets, teacher, student, tmp_path, monkeypatch, lines, last):
    place = tmp_path / "student"
    values = {"teacher": str(teacher), **sets}
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    real, calls = trainer.TrainingStep.__call__, []

    def step(self, *arguments):
        calls.append(1)
        if len(calls) == last:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.TrainingStep, "__call__", step)
        assert train(settings(place, "student", **values)) == signal.SIGTERM
    assert f"stopped by a signal after step {last}; resume goes on" in lines()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    with pytest.raises(UserError, match="holds a checkpoint. Remedy: resume"):
        train(settings(place, "student", **values))
    assert train(settings(place, "student", **values, resume=True)) is None
    assert_same(variables(place), variables(student))
    losses, expected = logged(place)["train_loss"], logged(student)["train_loss"]
    assert losses == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_more_epochs_and_other_settings(sets, teacher, tmp_path, lines):
    """A run that is done goes on to more epochs, and says what is not as it was."""
    place = tmp_path / "teacher"
    assert train(settings(place, **sets, epochs=1)) is None
    assert train(settings(place, **sets, resume=True)) is None
    assert_same(variables(place), variables(teacher))
    assert not [line for line in lines() if " was " in line]
    assert train(settings(place, **sets, resume=True, lr=0.5)) is None
    assert "lr was 0.001 up to here and is 0.5 now" in lines()
    assert lines()[-1] == "done: 2 epochs, 6 steps"


def test_without_a_teacher_no_parsing_maps_are_needed(tmp_path, lines):
    data = make_set(tmp_path / "set", parsing=False)
    assert train(settings(tmp_path / "s", "student", teacher="none", data=data, epochs=1)) is None
    found = logged(tmp_path / "s")
    assert found["train_loss"] == pytest.approx(found["train_l1"], rel=1e-5)
    assert "val_psnr_DIC" not in found


@pytest.mark.slow
def test_after_the_last_epoch_with_a_teacher_it_is_l1_alone(sets, teacher, tmp_path, monkeypatch, lines):
    monkeypatch.setattr(trainer, "distillation_weights", lambda epoch: None if epoch > 0 else (10.0, 0.1))
    assert train(settings(tmp_path / "s", "student", teacher=str(teacher), **sets)) is None
    found = logged(tmp_path / "s")
    assert found["train_features"][1] > 0
    assert found["train_features"][2] == found["train_output"][2] == 0
    assert found["train_loss"][2] == pytest.approx(found["train_l1"][2], rel=1e-5)


def test_steps_that_are_not_finite_end_the_run(sets, tmp_path, monkeypatch, lines):
    monkeypatch.setattr(trainer, "MAX_SKIPPED", 4)  # in the second epoch
    real = trainer.TrainingStep.loss
    monkeypatch.setattr(
        trainer.TrainingStep,
        "loss",
        lambda self, *given: real(self, *given)._replace(total=real(self, *given).total * np.nan),
    )
    message = r"4 steps in a row were not finite: training has diverged. Remedy: go on from .* resume and a lower lr$"
    with pytest.raises(DivergedError, match=message):
        train(settings(tmp_path / "t", **sets))
    state, progress = checkpoint.restore(training_folder.newest(tmp_path / "t")[1], kdfsrnet.Architecture(6, 16, 1))
    assert progress.step == 3
    assert state.updates == 0
    for name, value in kdfsrnet.initial_params(0, kdfsrnet.Architecture(6, 16, 1)).items():
        np.testing.assert_array_equal(state.params[name], value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": ""}, "stage=: expected teacher or student"),
        ({"data": ""}, "data: give a TFRecord set of faces"),
        ({"teacher": "somewhere"}, "teacher: is for stage=student"),
        ({"stage": "student"}, "teacher: a student needs one"),
        ({"scale": 2}, "scale=2: expected one of 4, 8, 16"),
        ({"epochs": 0}, "epochs=0: expected at least 1"),
        ({"width": 8}, "width=8: expected at least 16"),
        ({"lr": float("nan")}, "lr=nan: expected a number above 0"),
    ],
)
def test_settings_that_cannot_be(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        settings(tmp_path, **{"data": "x.tfrecord"} | changes)


def test_the_defaults_are_the_published_numbers():
    published = Settings("student", "x.tfrecord", teacher="t")
    assert (published.epochs, published.batch_size, published.lr, published.scale) == (400, 8, 1e-4, 8)
    assert published.architecture == kdfsrnet.STUDENT
    assert Settings("teacher", "x.tfrecord").architecture == kdfsrnet.TEACHER


def test_what_does_not_go_together(sets, teacher, student, tmp_path, lines):
    def refuse(message, place, stage="student", **changes):
        with pytest.raises(UserError, match=message):
            train(settings(place, stage, **sets | changes))

    refuse("nothing: no such file", tmp_path / "s", teacher=str(tmp_path / "nothing"))
    refuse("expected its teacher", tmp_path / "s", teacher=str(student))
    refuse("features are 16 wide, the student's 32. Remedy: width=16", tmp_path / "s", teacher=str(teacher), width=32)
    refuse("is a network of 6 channels in.*Remedy: another output_dir", teacher, teacher="none", resume=True)
    (tmp_path / "file").write_text("")
    refuse("file: cannot make this folder", tmp_path / "file", "teacher")
    plain = tmp_path / "plain"
    tf1_checkpoint.write_checkpoint(plain / "model-1", load_kdfsrnet(student))
    refuse("head.0.weight/Adam is missing", plain, teacher="none", resume=True)


def test_mistakes_on_the_command_line_are_one_line(tmp_path):
    printed = run(tmp_path, "scripts/train_kdfsrnet.py", "--stage", "student", "--data", "x.tfrecord", code=2)
    assert "error: --teacher: a student needs one" in printed
    assert len(printed.splitlines()) == 1
    printed = run(tmp_path, "scripts/generate_tfrecord.py", "--background_input", ".", "--parsing_dir", ".", code=2)
    assert "error: --parsing_dir: give the faces with --face_input, too" in printed


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_to_the_same_bits(sets, teacher, tmp_path):
    flags = [f"--{name}={value}" for name, value in sets.items()]
    flags += ["--stage=teacher", "--width=16", "--blocks=1", "--batch_size=2", "--lr=1e-3", "--augment", "--gpu=-1"]
    flags += ["--output_dir=t", "--epochs=40", "--keep_checkpoints=0", "--resume"]
    process = subprocess.Popen(
        command("scripts/train_kdfsrnet.py", *flags), cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "t" / "model-6.index").exists():
        time.sleep(0.02)
        assert process.poll() is None
    process.kill()
    assert process.wait() == -9
    step, _ = training_folder.newest(tmp_path / "t")
    assert step >= 6
    assert_same(tf1_checkpoint.read_checkpoint(tmp_path / "t" / "model-6"), variables(teacher))
    epochs = step // 3 + 1
    assert train(settings(tmp_path / "t", **sets, epochs=epochs, resume=True)) is None
    assert train(settings(tmp_path / "straight", **sets, epochs=epochs)) is None
    assert_same(variables(tmp_path / "t"), variables(tmp_path / "straight"))
