import struct

import numpy as np
import pytest
from conftest import make_tiny_sr

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import rrdbnet
from metaf2n_tf.weights import ncnn


@pytest.fixture
def pair(tmp_path):
    """A tiny network as ncnn writes it, and its float16 values."""
    params = make_tiny_sr()
    lines, blob = ["7767517", "3 3"], b""
    for name, (_, cout) in rrdbnet.conv_channels(2, 8, 4).items():
        kernel = params[f"MODEL/{name}/weight"].astype(np.float16)
        params[f"MODEL/{name}/weight"] = kernel.astype(np.float32)
        lines.append(f"Convolution  {name} 1 1 a b 0={cout} 1=3 4=1 5=1 6={kernel.size}")
        lines.append("ReLU  r 1 1 b c 0=0.2")
        data = kernel.transpose(3, 2, 0, 1).tobytes()
        blob += struct.pack("<I", 0x01306B47) + data + b"\0" * (-len(data) % 4)
        blob += params[f"MODEL/{name}/bias"].tobytes()
    (tmp_path / "net.param").write_text("\n".join(lines))
    (tmp_path / "net.bin").write_bytes(blob)
    return tmp_path / "net.bin", params


@pytest.mark.parametrize("suffix", [".bin", ".param"])
def test_reads_either_file_of_the_pair(pair, suffix):
    path, params = pair
    found = ncnn.read_ncnn(path.with_suffix(suffix))
    assert list(found) == list(rrdbnet.variable_shapes(2, 8, 4))
    assert all(np.array_equal(found[name], params[name]) for name in found)


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (".bin", lambda blob: blob[:-9], r"net.bin: truncated at MODEL/conv_last"),
        (".bin", lambda blob: blob + b"1234", r"net.bin: 4 bytes too long"),
        (".bin", lambda blob: b"\1\0\0\0" + blob[4:], "conv_first/weight is stored as neither float16 nor float32"),
        (".bin", lambda blob: b"\0\0\0\0" + blob[4:], "body/0/rdb1/conv1/weight is stored as neither"),
        (".param", lambda text: b"hello", "not an ncnn .param file"),
        (
            ".param",
            lambda text: text.replace(b"Convolution", b"Pooling", 1),
            "35 convolutions and 0 PReLUs are neither an x4 RRDBNet",
        ),
        (
            ".param",
            lambda text: text.replace(b"6=216", b"6=217", 1),
            "conv_first/weight has 8 outputs and 217 numbers, not the 8 and 216",
        ),
        (".param", lambda text: text.replace(b"0=8", b"0=-8", 1), "damaged at 'Convolution"),
        (".param", lambda text: text.replace(b"0=8", b"0=4294967296", 1), "damaged at 'Convolution"),
        (".param", lambda text: text.replace(b"0=8", b"0=2147483647"), "has 2147483647 outputs and 216 numbers, not"),
    ],
)
def test_damaged_files_are_named(pair, file, change, message):
    path, _ = pair
    edit(path.with_suffix(file), change)
    with pytest.raises(UserError, match=message):
        ncnn.read_ncnn(path)


def test_missing_partner(pair):
    path, _ = pair
    path.with_suffix(".param").unlink()
    with pytest.raises(UserError, match=r"net.param: no such file"):
        ncnn.read_ncnn(path)
