import struct
import zipfile

import numpy as np
import pytest

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import npz

NAME = "MODEL/conv_first/weight"


def write(path, header, content=bytes(16), compression=zipfile.ZIP_STORED):
    """A .npz of one array with any header."""
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{NAME}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content)
    return path


def header(descr="'<f4'", shape="(4,)"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()


@pytest.mark.parametrize(
    "text",
    [
        header(shape="(99999999999999,)"),
        header(shape="(3,)"),
        header(shape="(5,)"),
        header(shape="(-4,)"),
        header(shape="(-2, -2)"),
        header(shape=f"({'9' * 4000},)"),
        header(shape="(0, 99999999999999999999)"),
        header(descr="'|O'"),
        header(descr="[('a', '<f4')]"),
        header(descr="'|V4'"),
        header(descr="'<c8'", shape="(2,)"),
        b"((((",
        b"  {",
        b"{'descr'",
        b"[" * 2000,
        b"-" * 9000 + b"1",
        b"1" * 9000,
        b"{'\\d': 1if 1else 2",
        b"",
    ],
)
def test_headers_that_lie_or_are_none_are_one_line(tmp_path, text):
    with pytest.raises(UserError, match=r"a.npz: not a readable .npz file") as caught:
        npz.read_npz(write(tmp_path / "a.npz", text))
    assert "\n" not in str(caught.value)


def test_headers_that_fit_are_read(tmp_path):
    values = np.arange(4, dtype=np.float32)
    assert np.array_equal(npz.read_npz(write(tmp_path / "a.npz", header(), values.tobytes()))[NAME], values)
    arrays = {"turned": np.arange(6.0).reshape(2, 3).T, "half": np.float16([[1, 2]]), "none": np.zeros((0, 3))}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "b.npz", **arrays)
        found = npz.read_npz(tmp_path / "b.npz")
        assert all(np.array_equal(found[name], value) for name, value in arrays.items())


def test_a_file_that_unpacks_to_many_times_its_size_is_refused_unread(tmp_path):
    content, text = bytes(80 << 20), header(shape=f"({20 << 20},)")
    path = write(tmp_path / "a.npz", text, content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UserError, match="bytes of memory, as no weights do"):
        npz.read_npz(path)


def test_numbers_that_widen_to_many_times_the_file_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(60 << 20, np.uint8))
    with pytest.raises(UserError, match=r"a.npz: its \d+ bytes ask for 251658240 bytes of memory"):
        npz.read_npz(tmp_path / "a.npz")


def test_other_compressions_and_texts_are_refused(tmp_path):
    with pytest.raises(UserError, match="not a readable .npz file"):
        npz.read_npz(write(tmp_path / "a.npz", header(), compression=zipfile.ZIP_LZMA))
    np.savez(tmp_path / "a.npz", words=np.array(["a"]))
    with pytest.raises(UserError, match="variable words is a text, expected numbers"):
        npz.read_npz(tmp_path / "a.npz")
