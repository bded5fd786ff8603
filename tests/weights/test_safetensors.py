import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import srvgg_weights
from conftest import make_tiny_sr

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import load
from metaf2n_tf.weights import safetensors as ours

VALUES = np.float32([1, 2, 3, 4])


def write(path, header, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + VALUES.tobytes())
    return path


def entry(dtype="F32", shape=(4,), place=(0, 16), **others):
    return {"dtype": dtype, "shape": shape, "data_offsets": place, **others}


def test_the_package_reads_what_is_written(tmp_path):
    arrays = {"b": VALUES.reshape(2, 2), "a": np.float16([1]), "none": np.zeros((0, 3), np.float32)}
    ours.write_safetensors(tmp_path / "a.safetensors", arrays)
    found = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert {name: value.dtype for name, value in found.items()} == {name: value.dtype for name, value in arrays.items()}
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())


def test_what_the_package_writes_is_read(tmp_path):
    arrays = {"b": VALUES.reshape(2, 2), "a": np.float64([1]), "c": VALUES.astype(ml_dtypes.bfloat16)}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors", {"format": "pt", "more": "words"})
    found = ours.read_safetensors(tmp_path / "a.safetensors")
    assert {name: value.dtype for name, value in found.items()} == {name: value.dtype for name, value in arrays.items()}
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())


@pytest.mark.parametrize("params", [make_tiny_sr(), srvgg_weights.make_tiny(), srvgg_weights.make_tiny_context()])
def test_networks_of_real_esrgan_are_loaded(tmp_path, params):
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(value) for name, value in srvgg_weights.to_state_dict(params).items()},
        tmp_path / "a.safetensors",
    )
    found = load.load_weights(tmp_path / "a.safetensors").sr
    assert list(found) == list(params)
    assert all(np.array_equal(found[name], value) for name, value in params.items())


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"7", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b'{"a": ' + b"9" * 5000 + b"}", None),
        ({"a": entry()}, 1 << 63),
        ({"a": entry()}, 10_000),
        ({"a": entry()}, 5),
        ({"a": entry(), "filler": "x" * (2 << 20)}, None),
        ({"a": 7}, None),
        ({"a": {"dtype": "F32"}}, None),
        ({"a": entry(extra=1)}, None),
        ({"a": entry(shape=[5])}, None),
        ({"a": entry(shape=[-4])}, None),
        ({"a": entry(shape=[-2, -2])}, None),
        ({"a": entry(shape=[True, 4])}, None),
        ({"a": entry(shape=[4.0])}, None),
        ({"a": entry(shape=[0, 1 << 62, 1 << 61])}, None),
        ({"a": entry(shape=[1] * 65 + [4])}, None),
        ({"a": entry(shape="4")}, None),
        ({"a": entry(place=[0, 1 << 61], shape=[1 << 59])}, None),
        ({"a": entry(place=[16, 0])}, None),
        ({"a": entry(place=[-16, 0])}, None),
        ({"a": entry(place=[0])}, None),
        ({"a": entry(), "b": entry()}, None),
        ({"a": entry(shape=[3], place=[0, 12]), "b": entry(shape=[2], place=[8, 16])}, None),
        ({"a": entry(shape=[1], place=[0, 4]), "b": entry(shape=[1], place=[12, 16])}, None),
        ({"a": entry(shape=[3], place=[0, 12])}, None),
        ({"a": entry(dtype=["F32"])}, None),
        ({"a": entry(dtype=None)}, None),
        ({"a": entry(dtype="I32")}, None),
    ],
)
def test_headers_that_lie_or_are_none_are_one_line(tmp_path, header, length):
    with pytest.raises(UserError, match=r"a.safetensors: (not a readable .safetensors file|variable a is)") as caught:
        ours.read_safetensors(write(tmp_path / "a.safetensors", header, length=length))
    assert str(caught.value).isprintable()


def test_every_cut_is_one_line(tmp_path):
    whole = write(tmp_path / "whole", {"a": entry()}).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.safetensors").write_bytes(whole[:length])
        with pytest.raises(UserError, match="not a readable .safetensors file"):
            ours.read_safetensors(tmp_path / "a.safetensors")
