import os
import re

import numpy as np
import pytest
import tensorflow as tf
import tiny_training

from metaf2n_tf.errors import UserError
from metaf2n_tf.meta import checkpoint
from metaf2n_tf.weights import tf1_checkpoint, training_folder
from metaf2n_tf.weights.load import load_weights


@pytest.fixture(scope="module")
def state():
    """Every array another one, so that none can be taken for another."""
    initial = tiny_training.state()
    rng = np.random.default_rng(0)
    return tf.nest.map_structure(lambda value: rng.random(value.shape, np.float32), initial)


def save(folder, state, step, keep=0):
    return checkpoint.save(folder, state, step, False, keep)


def assert_same(ours, theirs):
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


class PublishedGraph:
    """The variables of the published training graph, made as `train.py` makes them."""

    def __init__(self, state):
        v1 = tf.compat.v1
        self.graph = tf.Graph()
        with self.graph.as_default():
            networks = []
            for params, rate in ((state.generator, 3e-5), (state.discriminator, 1e-4)):
                trained = [
                    v1.Variable(value, name=name, trainable=not name.endswith("/u"), use_resource=False)
                    for name, value in params.items()
                ]
                networks.append(([variable for variable in trained if variable.trainable], rate))
            v1.Variable(True, name="stop_grad", trainable=False, use_resource=False)
            v1.Variable(0, name="global_step", trainable=False, use_resource=False)
            for variables, rate in networks:
                optimizer = v1.train.AdamOptimizer(rate)
                optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])
            self.saver = v1.train.Saver(max_to_keep=100000)
            self.variables = {variable.op.name: variable for variable in v1.global_variables()}

    def session(self):
        return tf.compat.v1.Session(graph=self.graph)


@pytest.fixture(scope="module")
def published_graph(state):
    return PublishedGraph(state)


def test_the_published_code_resumes_from_ours(tmp_path, state, published_graph):
    prefix = save(tmp_path / "Model0", state, 1000)
    found = tf.train.get_checkpoint_state(str(tmp_path / "Model0")).model_checkpoint_path
    assert found == str(prefix)
    assert int(next(re.finditer(r"(\d+)(?!.*\d)", os.path.basename(found))).group(0)) == 1000  # its own way
    expected = checkpoint.to_variables(state, 1000, False)
    assert set(expected) == set(published_graph.variables)
    with published_graph.session() as session:
        published_graph.saver.restore(session, found)
        for name, variable in published_graph.variables.items():
            value = session.run(variable)
            np.testing.assert_array_equal(value, expected[name])
            assert value.dtype == np.asarray(expected[name]).dtype, name


def test_ours_resumes_from_the_published_codes(tmp_path, state, published_graph):
    arrays = checkpoint.to_variables(state, 0, False)
    with published_graph.session() as session:
        for name, variable in published_graph.variables.items():
            variable.load(arrays[name], session)
        published_graph.saver.save(session, str(tmp_path / "Model3" / "model"), global_step=17000)
    step, prefix = training_folder.newest(tmp_path / "Model3")
    assert step == 17000
    assert_same(checkpoint.restore(prefix), state)


def test_a_training_checkpoint_serves_for_testing(tmp_path, state):
    prefix = save(tmp_path, state, 20)
    weights = load_weights(prefix)
    assert set(weights.sr) | set(weights.mask) == set(state.generator)


def test_only_the_newest_are_kept(tmp_path, state):
    for step in (0, 5, 9, 10, 100):
        save(tmp_path, state, step, keep=3)
    assert {path.stem for path in tmp_path.glob("*.index")} == {"model-9", "model-10", "model-100"}
    assert len(list(tmp_path.glob("*.data*"))) == 3
    listed = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
    assert [os.path.basename(path) for path in listed] == ["model-9", "model-10", "model-100"]


def test_newest_is_what_the_file_checkpoint_says(tmp_path, state):
    assert training_folder.newest(tmp_path / "nowhere") is None
    assert training_folder.newest(tmp_path) is None
    for step in (30, 200):
        save(tmp_path, state, step)
    assert training_folder.newest(tmp_path)[0] == 200
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model-30"\n')
    assert training_folder.newest(tmp_path)[0] == 30
    (tmp_path / "checkpoint").unlink()
    assert training_folder.newest(tmp_path)[0] == 200
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model-7"\n')
    with pytest.raises(UserError, match="model-7"):
        training_folder.newest(tmp_path)


def test_a_save_that_fails_leaves_the_checkpoint_before(tmp_path, state, monkeypatch):
    """Killed between any two steps of a save, there is a whole newest checkpoint."""
    save(tmp_path, state, 1)
    calls = []

    def fail_at(count):
        def replace(source, target, real=os.replace):
            calls.append(target)
            if len(calls) == count:
                raise OSError(28, "No space left on device")
            real(source, target)

        return replace

    for count in (1, 2, 3):  # the data, the index, the file `checkpoint`
        calls.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", fail_at(count))
            with pytest.raises(UserError, match="No space left"):
                save(tmp_path, state, 2, keep=1)
        assert training_folder.newest(tmp_path)[0] == 1
        assert_same(checkpoint.restore(training_folder.newest(tmp_path)[1]), state)
    save(tmp_path, state, 2, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint",
        "model-2.data-00000-of-00001",
        "model-2.index",
    ]


def test_what_a_killed_save_leaves_goes_with_the_next(tmp_path, state):
    (tmp_path / ".model-3.part.data-00000-of-00001.tempstate123").write_bytes(b"half")
    for name in ("model-1", "model-new"):
        (tmp_path / f"{name}.data-00000-of-00001").write_bytes(b"its index is gone")
    save(tmp_path, state, 4)
    names = sorted(path.name for path in tmp_path.iterdir())
    data = ".data-00000-of-00001"
    assert names == ["checkpoint", f"model-4{data}", "model-4.index", f"model-new{data}"]


def test_a_checkpoint_for_testing_only_is_no_training_checkpoint(tmp_path, state):
    tf1_checkpoint.write_checkpoint(tmp_path / "model-new", state.generator)
    with pytest.raises(UserError, match="beta1_power is missing"):
        checkpoint.restore(tmp_path / "model-new")
    with pytest.raises(UserError, match="does not end with the step"):
        training_folder.newest(tmp_path)
    variables = checkpoint.to_variables(state, 5, False)
    del variables["Mask/conv3/bias/Adam_1"]
    tf1_checkpoint.write_checkpoint(tmp_path / "model-5", variables)
    with pytest.raises(UserError, match="Mask/conv3/bias/Adam_1 is missing"):
        checkpoint.restore(tmp_path / "model-5")
