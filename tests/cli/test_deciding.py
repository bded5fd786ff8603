import dataclasses

import pytest

from metaf2n_tf.commands.runs import deciding, experiment, upscale

DECIDING = {"patch_size", "patch_num_per_img", "fine_tune_num", "strength", "task_lr", "seed", "adapt"}
DECIDING |= {"min_face", "paste_faces", "paste_strength", "outscale", "format", "quality"}
COMMON = {"tile", "tile_pad", "precision", "detector", "restorer", "color_fix"}


class Weights:
    identity, kind, task_lr_on_record = "0123", "plain", 1e-3


class Model:
    weights, tile_pad, mode = Weights, 40, "graph"


@pytest.mark.parametrize(("options", "decides"), [(upscale.Options, DECIDING | COMMON), (experiment.Options, COMMON)])
def test_every_option_decides_unless_its_field_says_otherwise(options, decides):
    given = options(**{field.name: f"a {field.name}" for field in dataclasses.fields(options)})
    settings = deciding.settings_of(given, Model, None, "CPU")
    of_the_run = {"weights", "weights_kind", "device", "mode", "version", "detector_weights", "restorer_weights"}
    assert set(settings) == decides | of_the_run
    for name in decides - {"tile_pad", "detector", "restorer"}:
        assert settings[name] == f"a {name}"
    assert (settings["tile_pad"], settings["weights"], settings["detector"]) == (40, "0123", None)
    assert set(deciding.names_of(given)) == {"face_dir", "model_dir", "blend"}
    assert deciding.names_on_record(options) == [*deciding.names_of(given), *settings]


def test_a_new_flag_decides():
    @dataclasses.dataclass(frozen=True)
    class Options(upscale.Options):
        sharpness: float = 0.0

    given = Options(**dict.fromkeys((field.name for field in dataclasses.fields(Options)), None))
    settings = deciding.settings_of(given, Model, None, "CPU")
    assert "sharpness" in settings
    assert settings["task_lr"] == 1e-3
