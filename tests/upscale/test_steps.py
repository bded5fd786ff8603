import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.upscale import steps


@pytest.mark.parametrize(
    ("text", "asked", "most"),
    [
        ("1", [1], 1),
        ("5,0,1", [5, 0, 1], 5),
        ("auto", ["auto:10"], 10),
        ("auto:3", ["auto:3"], 3),
        ("0,20,auto", [0, 20, "auto:10"], 20),
        ("0,auto:30", [0, "auto:30"], 30),
    ],
)
def test_numbers_and_auto(text, asked, most):
    assert steps.parse_steps(text) == asked
    assert steps.most_steps(asked) == most


@pytest.mark.parametrize("text", ["", "two", "-1", "1,1", "auto,auto:5", "auto:0", "auto:", "auto:-2", "autos", "1,"])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match=f"fine_tune_num={text}: expected a number"):
        steps.parse_steps(text)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_impossible_learning_rates(rate):
    with pytest.raises(UserError, match="task_lr=.*: a positive number"):
        steps.check_task_lr([1e-3, rate])


@pytest.mark.parametrize("strengths", [[], [-0.1], [0, 1.5], [float("nan")], [0.5, 0.5000000001]])
def test_impossible_strengths(strengths):
    with pytest.raises(UserError, match="strength"):
        steps.check_strength(strengths)


def test_labels():
    assert [steps.label(n, 0.5) for n in (0, 1, 3, "auto:10")] == [
        "unadapted",
        "1 step, strength 0.5",
        "3 steps, strength 0.5",
        "auto, strength 0.5",
    ]
    assert steps.label(3, 1.0) == "3 steps"
