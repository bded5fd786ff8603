import pytest

from metaf2n_tf import runtime

PROCESSORS = {
    "flags\t\t: fpu avx2 fma f16c\nflags\t\t: fpu avx2 fma f16c\n": [],
    "flags\t\t: avx512f avx512_bf16 avx512_vnni\n": ["bfloat16"],
    "flags\t\t: amx_bf16 amx_tile avx512_fp16\n": ["bfloat16", "float16"],
    "model name\t: avx512_bf16\nflags\t\t: fpu\n": [],
    "": [],
}


@pytest.mark.parametrize(("said", "expected"), PROCESSORS.items())
def test_precisions_are_those_that_the_processor_has_instructions_for(tmp_path, monkeypatch, said, expected):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    monkeypatch.setattr(runtime, "_PROCESSOR", tmp_path / "cpuinfo")
    assert runtime.reduced_precisions() == []
    (tmp_path / "cpuinfo").write_text(said)
    assert runtime.reduced_precisions() == expected


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"compute_capability": (9, 0)}, ["bfloat16", "float16"]),
        ({"compute_capability": (7, 5)}, ["float16"]),
        ({"compute_capability": (6, 1)}, []),
        ({}, []),
    ],
)
def test_precisions_of_a_gpu_are_those_of_its_tensor_cores(monkeypatch, details, expected):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr("tensorflow.config.experimental.get_device_details", lambda gpu: details)
    assert runtime.reduced_precisions() == expected
