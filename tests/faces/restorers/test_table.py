"""A restorer is one file and one row."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from commands import ROOT

from metaf2n_tf.data import images
from metaf2n_tf.faces import restorers
from metaf2n_tf.faces.finder import FaceFinder
from metaf2n_tf.faces.restore_batch import make_restorer
from metaf2n_tf.faces.restorers import RESTORERS, Restorer


@pytest.fixture
def toy(monkeypatch, sample_lq):
    monkeypatch.setitem(RESTORERS, "toy", Restorer("toy_restorer", "the negative", default=True, aligns=True))
    return images.read_rgb8(sample_lq)


def test_a_restorer_from_outside_restores_photos_and_meta_batches(toy, caplog):
    caplog.set_level("INFO", "metaf2n_tf")
    finder = FaceFinder("mtcnn", "toy")
    (found,) = finder(toy).restored
    square, negative = found.aligned
    np.testing.assert_array_equal(negative, 255 - square)
    assert found.hq.shape == (4 * found.lq.shape[0], 4 * found.lq.shape[1], 3)
    small = found.hq.reshape(found.lq.shape[0], 4, found.lq.shape[1], 4, 3).mean(axis=(1, 3))
    assert np.abs(255 - small - found.lq).mean() < 12
    assert (finder.restorer, finder.restorer_weights) == ("toy", None)
    assert "toy: takes faces of 96 pixels" in caplog.messages

    lq = toy[None, :24, :24].repeat(2, axis=0)
    restored = tf.function(make_restorer("toy", 96))(tf.constant(lq)).numpy()
    enlarged = tf.function(make_restorer("none", 96))(tf.constant(lq)).numpy()
    assert np.abs(255 - restored.astype(int) - enlarged).max() <= 1  # rounded once, not twice


def test_its_row_is_in_the_help_and_among_the_defaults(toy):
    assert ", toy (the negative)" in restorers.described(restorers.of_photos())
    assert ", toy (the negative)" in restorers.described(restorers.of_batches())
    assert restorers.without_exemplars()[-1] == restorers.defaults()[-1] == "toy"


def test_the_table_is_read_without_tensorflow():
    code = (
        "import sys; from metaf2n_tf.faces import restorers; print('tensorflow' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_row_has_its_file():
    for name, row in RESTORERS.items():
        assert callable(__import__(row.module, fromlist=["load"]).load), name
