import pytest

import config
from metaf2n_tf.errors import UserError
from metaf2n_tf.meta.settings import read_settings


def test_published_numbers():
    settings = read_settings(config)
    published = {
        "HEIGHT": 128,
        "WIDTH": 128,
        "CHANNEL": 3,
        "HEIGHT1": 256,
        "WIDTH1": 256,
        "META_ITER": 400000,
        "META_BATCH_SIZE": 4,
        "META_LR": 3e-5,
        "TASK_ITER": 1,
        "TASK_BATCH_SIZE": 4,
        "TASK_LR": 1e-2,
        "PRINT_ITER": 20,
        "SAVE_ITER": 1000,
        "SECOND_ORDER_GRAD_ITER": 0,
        "CHECKPOINT_DIR": "./weights",
    }
    assert {name: getattr(settings, name) for name in published} == published


def test_every_value_can_be_overridden_and_keeps_its_type():
    assignments = ["META_LR=1e-5", "TASK_ITER=3", "DECAY_STEP_WEIGHTS=false", "RESTORER=none", "META_LR=2e-5"]
    settings = read_settings(config, assignments)
    found = (settings.META_LR, settings.TASK_ITER, settings.DECAY_STEP_WEIGHTS, settings.RESTORER)
    assert found == (2e-5, 3, False, "none")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("META_LRR=1", "META_LR?"),
        ("meta_lr=1", "META_LR?"),
        ("META_LR", "NAME=VALUE"),
        ("META_LR=fast", "expected float"),
        ("TASK_ITER=1.5", "expected int"),
        ("DECAY_STEP_WEIGHTS=maybe", "expected bool"),
        ("TASK_ITER=0", "at least 1"),
        ("META_LR=nan", "at least 0"),
        ("TASK_LR=-1", "at least 0"),
        ("WIDTH=64", "squares"),
        ("CHANNEL=1", "RGB"),
        ("HEIGHT=30", "multiple of 4"),
        ("HEIGHT1=36", "multiple of 8"),
        ("HEIGHT1=16", "at least 32"),
        ("KEEP_CHECKPOINTS=-1", "at least 0"),
    ],
)
def test_mistakes_are_named(assignment, message):
    with pytest.raises(UserError) as error:
        read_settings(config, [assignment])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("META_LR", "3e-5"), ("SAVE_ITER", 1000.5), ("SR_WEIGHTS", None), ("DECAY_STEP_WEIGHTS", 1), ("TASK_ITER", True)],
)
def test_values_of_another_type_in_config_py_are_named(name, value):
    with pytest.raises(UserError, match=f"{name} = "):
        read_settings(vars(config) | {name: value})
