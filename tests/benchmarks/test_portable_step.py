import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def portable(root):
    pytest.importorskip("tensorflow", minversion="2.16")  # 2.15 exports HLO, no StableHLO
    sys.path.append(str(root / "benchmarks"))
    import portable_step

    return portable_step


@pytest.fixture(scope="module")
def weights(portable):
    return portable.draw_weights(1, 8)


def check_export(folder, name, arguments, results):
    description = json.loads((folder / f"{name}.json").read_text())
    names = [argument["name"] for argument in description["arguments"]]
    assert set(arguments) <= set(names)
    assert set(results) <= {result["name"] for result in description["results"]}
    main = next(line for line in (folder / f"{name}.mlir").read_text().splitlines() if "@main(" in line)
    assert main.partition(") -> ")[0].count("%arg") == len(names)
    with np.load(folder / f"{name}.npz") as arrays:
        assert len(arrays.files) == len(names) + len(description["results"])
        for index, argument in enumerate(description["arguments"]):
            assert list(arrays[f"arg_{index}"].shape) == argument["shape"]
            assert arrays[f"arg_{index}"].dtype == argument["dtype"]


def test_the_exported_inner_step_takes_every_weight_as_an_argument(portable, weights, tmp_path):
    lq, hq = np.ones((1, 8, 8, 3), np.float32), np.ones((1, 32, 32, 3), np.float32)
    portable.export_inner_step(tmp_path, weights, lq, hq)
    arguments = ["lq", "hq", "weight_map", "task_lr", "params/MODEL/body/0/rdb1/conv1/weight"]
    check_export(tmp_path, "inner_step", arguments, ["loss", "params/MODEL/conv_first/bias"])


@pytest.mark.slow
def test_the_exported_meta_step_takes_the_whole_state_as_arguments(portable, weights, tmp_path):
    from training_workload import cut_meta_batch

    portable.export_meta_step(tmp_path, weights, cut_meta_batch(2, 1, 32, 32))
    arguments = ["state/generator/MODEL/conv_first/weight", "batch/inputa", "step", "perceptual/AlexNet_0/Conv_0/bias"]
    check_export(tmp_path, "meta_step", arguments, ["0/generator_adam/beta1_power", "1/losses/outer"])


@pytest.mark.slow
def test_the_published_meta_step_gives_the_same_losses(root):
    command = [sys.executable, "benchmarks/meta_step.py", "--blocks", "1", "--task_batch", "1", "--steps", "1"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
