"""What lies in a folder and is read as JSON: cut off, nested without end, or with values of other types."""

import json
import logging

import pytest

from metaf2n_tf.commands.runs import results
from metaf2n_tf.data import strict_json
from metaf2n_tf.data.strict_json import NUMBER
from metaf2n_tf.data.tfrecords import manifest
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.errors import UserError
from metaf2n_tf.experiment.records import Records, check_made_with
from metaf2n_tf.experiment.sweep import Configuration
from metaf2n_tf.report.photo import decode_photo
from metaf2n_tf.weights import training_folder

DEEP = "[" * 100_000
BAD = [DEEP, "[" * 200 + "]" * 200, '{"a":' * 500 + "1" + "}" * 500, "", "{", "\xff", "NaN", '{"a": -Infinity}']
BAD += ['{"a": 1e999}', "9" * 5000, "null", "5", "[]", '"text"']


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_json_object_is_a_value_error(text):
    with pytest.raises(ValueError, match=".") as caught:
        strict_json.loads(text, {str: object})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "fits", "others"),
    [
        (int, [0, -5, 10**30], [True, 1.0, "1", None]),
        (float, [0.5, 3], [True, "NaN", None, 10**400]),
        (NUMBER, [0.5, 3, "NaN", "-Infinity"], ["nan", None, False]),
        (bool, [True], [0, 1, None]),
        (str, ["", "a"], [None, 1, ["a"]]),
        (object, [None, [1], {"a": {}}], []),
        ((str, None), ["a", None], [0, False]),
        ([int], [[], [1, 2]], [{}, [1, "2"], None]),
        ({str: int}, [{}, {"a": 1}], [[], {"a": None}]),
        ({"a": int, "b?": str}, [{"a": 1}, {"a": 1, "b": "", "c": []}], [{}, {"a": "1"}, {"a": 1, "b": None}]),
        (({"a": int}, None), [{"a": 1}, None], [{}, []]),
        ([(int, [str])], [[1, ["a"]]], [[[1]]]),
        (lambda value: value == 5, [5], [6, None]),
    ],
)
def test_schemas(schema, fits, others):
    for value in fits:
        assert strict_json.loads(json.dumps(value), schema) == value
    for value in others:
        with pytest.raises(ValueError, match="it|one of|a value|number"):
            strict_json.loads(json.dumps(value), schema)


def test_the_place_is_named():
    with pytest.raises(ValueError, match=r"^one of shards.file is not what it should be$"):
        strict_json.loads('{"shards": [{"file": 5}]}', {"shards": [{"file": str}]})


def changed(content, values=(None, [1], "x", {}, -1.5, True, 10**400)):
    """JSON texts of a content with one value, however deep, replaced by each of others, or gone."""

    def change(value):
        yield from values
        if isinstance(value, dict):
            for key, inner in value.items():
                yield {other: item for other, item in value.items() if other != key}
                yield from (value | {key: one} for one in change(inner))
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                yield from ([*value[:place], one, *value[place + 1 :]] for one in change(inner))

    for one in change(content):
        yield json.dumps(one)
    yield from BAD
    yield json.dumps(content).replace("1", "NaN")
    yield json.dumps(content)[:-3]


def test_results_and_measurements_of_any_kind_are_left_out_or_usable(tmp_path):
    values = {"inputs": [1, None], "picture": 1, "faces": 1, "patches": 1, "adapted": True, "losses": [0.1, "NaN"]}
    values |= {"mean_weight": 1.0, "metrics": {"psnr_y": 30.1}, "failed": {"lpips": "why"}}
    lines = list(
        changed({"photo": "1.png", "task_lr": 0.1, "patch_size": 1, "patch_num_per_img": 1, "seed": 1} | values)
    )
    configuration = Configuration(0.1, 1, 1, 1)
    records = Records(tmp_path)
    records.put("good.png", configuration, 1, values)
    records.save()
    good = (tmp_path / "measurements.jsonl").read_text()
    (tmp_path / "measurements.jsonl").write_text("\n".join(lines) + "\n" + good)
    records = Records(tmp_path)
    assert records.get("good.png", configuration, 1) == json.loads(good)
    records.save()
    for record in map(json.loads, (tmp_path / "measurements.jsonl").read_text().splitlines()):
        assert all(isinstance(float(loss), float) for loss in record["losses"])
        assert type(record["seed"]) is int

    lines = list(changed({"photo": "1.png", "metrics": {"1 step": {"psnr_y": 30.1}}, "faces": 1}))
    (tmp_path / "results.jsonl").write_text("\n".join([*lines, '{"photo": "good.png"}']) + "\n")
    found = results.read_results(tmp_path)
    assert {"good.png", "1.png", "x"} == set(found)
    results.write_results(tmp_path, found)


def test_the_description_of_a_set(tmp_path):
    shard = manifest.Shard("set-00000-of-00002.tfrecord", 1, 1, "1", {"a.png": "small"}, {})
    wanted = manifest.Manifest(
        Cropping(400, 200, float("-inf")), {"inputs": ["a"], "pictures": 1, "sha256": "1"}, 2, [shard]
    )
    manifest.write(tmp_path / "set.tfrecord", wanted)
    assert manifest.read(tmp_path / "set.tfrecord") == wanted
    path = tmp_path / "set.json"
    path.write_text('{"settings": []}')
    with pytest.raises(UserError, match=r"set.json: not the description of a set \(it has no sources\). Remedy"):
        manifest.read(tmp_path / "set.tfrecord")
    manifest.write(tmp_path / "set.tfrecord", wanted)
    content = json.loads(path.read_text())
    places = [{"file": file} for file in ("../set.tfrecord", "/set.tfrecord", "other.tfrecord", "a/set.tfrecord", "")]
    texts = [json.dumps(content | {"shards": [content["shards"][0] | place]}) for place in places]
    for text in [*changed(content), *texts]:
        path.write_bytes(text.encode("latin1"))
        try:
            found = manifest.read(tmp_path / "set.tfrecord")
        except UserError:
            pass
        else:
            assert (found.count, found.num_shards, found.is_of(wanted)) is not None
            assert text not in texts


@pytest.mark.parametrize("text", BAD)
def test_settings_that_were_kept(tmp_path, text):
    for name in ("made_with.json", "measurements.jsonl"):
        (tmp_path / name).write_bytes(text.encode("latin1"))
    with pytest.raises(UserError, match=r"made_with.json: not readable. Remedy: overwrite"):
        check_made_with(tmp_path, {"a": 1})
    with pytest.raises(UserError, match=r"made_with.json: cannot be read: .*Remedy: delete it"):
        training_folder.save_settings(tmp_path / "made_with.json", {"a": 1})
    with pytest.raises(ValueError, match="no part of a report"):
        decode_photo(text.encode("latin1"))


def test_settings_without_a_token_are_kept(tmp_path, caplog):
    caplog.set_level(logging.INFO, "metaf2n_tf")
    for _ in range(2):
        training_folder.save_settings(tmp_path / "config.json", {"a": float("inf"), "b": (1, 2)})
    assert caplog.messages == []
