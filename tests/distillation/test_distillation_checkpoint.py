import numpy as np
import pytest

from metaf2n_tf.distillation import checkpoint
from metaf2n_tf.distillation.checkpoint import Progress
from metaf2n_tf.distillation.step import initial_state
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import kdfsrnet
from metaf2n_tf.networks.kdfsrnet import Architecture
from metaf2n_tf.weights import tf1_checkpoint, training_folder

TINY = Architecture(3, 16, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("progress/epoch", np.int64(-1)),
        ("progress/records", np.float64(2)),
        ("progress/loss", np.float64("nan")),
        ("progress/loss", np.int64(1)),
        ("updates", np.bool_(True)),
    ],
)
def test_a_place_in_the_data_that_makes_no_sense_is_named(tmp_path, name, value):
    state = initial_state(kdfsrnet.initial_params(0, TINY))
    prefix = checkpoint.save(tmp_path, state, Progress(3, 1, 2, 1, 0.5), keep=1)
    assert checkpoint.restore(prefix, TINY)[1] == Progress(3, 1, 2, 1, 0.5)
    tf1_checkpoint.write_checkpoint(prefix, tf1_checkpoint.read_checkpoint(prefix) | {name: value})
    with pytest.raises(UserError, match=f"model-3: {name} is .*, so training cannot go on from it"):
        checkpoint.restore(prefix, TINY)


def test_a_step_that_no_training_reaches_is_no_step(tmp_path):
    tf1_checkpoint.write_checkpoint(tmp_path / "model-99999999999", {"a": np.float32(1)})
    with pytest.raises(UserError, match="model-99999999999: its name does not end with the step, like model-1000"):
        training_folder.newest(tmp_path)
    (tmp_path / "checkpoint").unlink()
    assert training_folder.newest(tmp_path) is None
