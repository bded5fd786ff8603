import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def portable(root):
    pytest.importorskip("tensorflow", minversion="2.16")  # 2.15 exports HLO, no StableHLO
    sys.path.append(str(root / "benchmarks"))
    import portable

    return portable


@pytest.fixture
def exporter(portable, tmp_path):
    return portable.Exporter(tmp_path, compared=True)


def check_export(folder, name, arguments, results):
    description = json.loads((folder / f"{name}.json").read_text())
    names = [argument["name"] for argument in description["arguments"]]
    assert set(arguments) <= set(names)
    assert set(results) <= {result["name"] for result in description["results"]}
    main = next(line for line in (folder / f"{name}.mlir").read_text().splitlines() if "@main(" in line)
    assert main.partition(") -> ")[0].count("%arg") == len(names)
    for entry in description["arguments"] + description["results"]:
        array = np.load(folder / "arrays" / f"{entry['array']}.npy")
        assert (list(array.shape), array.dtype) == (entry["shape"], entry["dtype"])
    return description


@pytest.mark.parametrize(("network", "flop"), [("x4plus", 17_926_848), ("compact", 1_209_024)])
def test_the_exported_network_counts_its_products(portable, exporter, tmp_path, network, flop):
    # Products an LQ pixel, counted by hand from the sizes of the convolutions and how often each is enlarged.
    from metaf2n_tf.networks import sr

    weights = portable.draw_weights(network, *portable.PUBLISHED.networks[network])
    weights = {name: value for name, value in weights.items() if name.startswith(f"{sr.SCOPE}/")}
    exporter.compared = False
    portable.export_forward(exporter, "forward", weights, "bfloat16", 1, 8)
    description = json.loads((tmp_path / "forward.json").read_text())
    assert description["flop"] == 2 * flop * description["lq_pixels"]
    assert description["precision"] == "bfloat16"
    assert "results" not in description


def test_the_exported_network_takes_every_weight_as_an_argument(portable, exporter, tmp_path):
    portable.export_forward(exporter, "forward", portable.draw_weights("compact", 1, 8), "float32", 2, 8)
    description = check_export(tmp_path, "forward", ["images", "params/MODEL/body/0/weight"], [""])
    assert description["results"][0]["shape"] == [2, 32, 32, 3]


def test_the_exported_inner_step_takes_every_weight_as_an_argument(portable, exporter, tmp_path):
    lq, hq = np.ones((1, 8, 8, 3), np.float32), np.ones((1, 32, 32, 3), np.float32)
    portable.export_inner_step(exporter, "inner_step", portable.draw_weights("x4plus", 1, 8), lq, hq)
    arguments = ["lq", "hq", "weight_map", "task_lr", "params/MODEL/body/0/rdb1/conv1/weight"]
    check_export(tmp_path, "inner_step", arguments, ["loss", "params/MODEL/conv_first/bias"])


def test_what_an_earlier_run_left_is_removed(portable, exporter, tmp_path):
    weights = portable.draw_weights("compact", 1, 4)
    portable.export_forward(exporter, "of_an_earlier_run", weights, "float32", 1, 8)
    portable.Exporter(tmp_path, compared=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["arrays"]


@pytest.mark.slow
def test_the_exported_meta_step_takes_the_whole_state_as_arguments(portable, exporter, tmp_path):
    from training_workload import cut_meta_batch

    weights = portable.draw_weights("x4plus", 1, 8)
    portable.export_meta_step(exporter, "meta_step", weights, cut_meta_batch(2, 1, 32, 32))
    arguments = ["state/generator/MODEL/conv_first/weight", "batch/inputa", "step", "perceptual/AlexNet_0/Conv_0/bias"]
    check_export(tmp_path, "meta_step", arguments, ["0/generator_adam/beta1_power", "1/losses/outer"])


@pytest.mark.slow
def test_the_published_meta_step_gives_the_same_losses(root):
    command = [sys.executable, "benchmarks/meta_step.py", "--blocks", "1", "--task_batch", "1", "--steps", "1"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
