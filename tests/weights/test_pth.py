import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
import recipe

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import load, pth


@pytest.fixture
def files(root):
    return root / "tests" / "golden" / "pth"


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_every_kind_of_tensor_and_container(files, layout):
    found = pth.read_pth(files / f"mixed_{layout}.pth")
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    expected = {
        "shared": base,
        "transposed": base.transpose(2, 0, 1),
        "slice": base[1, :, 1:3],
        "half": base.astype(np.float16),
        "bfloat16": base.astype(ml_dtypes.bfloat16),
        "double": base.astype(np.float64),
        "long": base.astype(np.int64),
        "bool": base > 5,
        "scalar": np.float32(3.5),
        "empty": np.zeros((0, 3), np.float32),
        "uint8": np.uint8([1, 255]),
    }
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(found["list"][0], np.ones(2))
    assert (found["list"][1], found["tuple"]) == ({"n": 7}, (1, "text"))


@pytest.mark.parametrize("variant", ["zip", "legacy", "params", "module"])
def test_generator_weights(files, variant):
    weights = load.load_weights(files / f"rrdbnet_{variant}.pth")
    assert weights.kind == load.PLAIN
    kernel = recipe.draw("body.0.rdb2.conv3.weight", (2, 8, 3, 3), 77)
    np.testing.assert_array_equal(weights.sr["MODEL/body/0/rdb2/conv3/weight"], kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(weights.sr["MODEL/conv_hr/bias"], recipe.draw("conv_hr.bias", (4,), 77))


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_a_pickle_that_runs_code_is_refused(files, layout):
    with pytest.raises(UserError, match=r"evil_.*it asks to load (posix|nt|os)\.system") as caught:
        pth.read_pth(files / f"evil_{layout}.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("attribute", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(tmp_path, attribute):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", f"cbuiltins\n{attribute}\n(S'1'\ntR.".encode())
    with pytest.raises(UserError, match=f"it asks to load builtins.{attribute}"):
        pth.read_pth(tmp_path / "a.pth")


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("keep", [0, 10, 300, 0.5, 0.999])
def test_truncated_files(files, tmp_path, layout, keep):
    content = (files / f"rrdbnet_{layout}.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError, match=r"cut.pth: ") as caught:
        load.load_weights(tmp_path / "cut.pth")
    assert "\n" not in str(caught.value)


NINE_OF_FOUR = (  # numbers of a storage
    b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\ntQI0\n(I9\nt(I1\ntI00\n"
    b"tR."
)


def test_a_tensor_of_a_storage_that_is_not_there_is_refused(tmp_path):
    head, keys = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}], []
    (tmp_path / "a.pth").write_bytes(b"".join(map(pickle.dumps, head)) + NINE_OF_FOUR + pickle.dumps(keys))
    with pytest.raises(UserError, match="a tensor of a storage that is not there"):
        pth.read_pth(tmp_path / "a.pth")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", NINE_OF_FOUR)
        archive.writestr("a/data/0", np.zeros(4, np.float32).tobytes())
    with pytest.raises(UserError, match="beyond its storage"):
        pth.read_pth(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [pickle.dumps({"a": 1}), b"hello", b"PK\x03\x04", b"\x80\x02."])
def test_other_files(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"a.pth: not a readable PyTorch file"):
        pth.read_pth(tmp_path / "a.pth")


def test_other_networks_are_refused(files, tmp_path):
    with pytest.raises(
        UserError, match="MODEL/conv_first/weight or .* is missing, so this is no SR network that is known"
    ):
        load.load_weights(files / "mixed_zip.pth")
    with pytest.raises(UserError, match="no such file"):
        pth.read_pth(tmp_path / "absent.pth")


def test_an_unreadable_file_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "a.pth").write_bytes(b"hello")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "is_zipfile", refuse)
    with pytest.raises(UserError, match=r"a.pth: cannot be read: Permission denied$"):
        pth.read_pth(tmp_path / "a.pth")


def torch_zip(path, program, storage=bytes(400), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", program)
        archive.writestr("a/data/0", storage)
    return path


def tensor(shape=b"(I4\nI4\nt", strides=b"(I4\nI1\nt", offset=b"I0\n", size=b"I100\n", build=b"", times=1):
    """A pickle of `times` tensors in a list; the arguments are pickle operations."""
    storage = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n" + size + b"tQ" + build
    return b"(" + times * (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + strides + b"tR") + b"l."


def shared(first, operations, levels=40):
    """A container that holds the one before twice, `levels` deep."""
    program = first + b"q\x00"
    for level in range(levels):
        twice = b"h" + bytes([level])
        program += operations.replace(b"*", twice) + b"q" + bytes([level + 1])
    return program + b"."


LISTS = shared(b"]", b"](**e")
DICTS = shared(b"}", b"}(U\x01a*U\x01b*u")
TUPLES = shared(b")", b"*\x86")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (tensor(build=b"}S'dtype'\n}S'itemsize'\nI0\nssb"), "it fills what cannot be filled"),
        (tensor(build=b"N}S'data'\nI0\ns\x86b"), "it fills what cannot be filled"),
        (b"ctorch._utils\n_rebuild_tensor\n}S'a'\nI0\nsb.", "it fills what cannot be filled"),
        (b"ctorch\nLongStorage\nI5\n\x85R.", "it calls what cannot be called"),
        (tensor(offset=b"L2305843009213693952L\n"), "beyond its storage"),
        (tensor(offset=b"L1180591620717411303424L\n"), "something else stands where a number belongs"),
        (tensor(offset=b"ctorch\nLongStorage\n"), "something else stands"),
        (tensor(offset=b"I-1\n"), "something else stands"),
        (tensor(offset=b"I01\n"), "something else stands"),
        (tensor(offset=b"F0\n"), "something else stands"),
        (tensor(strides=b"(I-4\nI1\nt"), "something else stands"),
        (tensor(size=b"I-1\n"), "something else stands"),
        (tensor(size=b"I101\n"), "buffer is smaller than requested size"),
        (tensor(strides=b"(I1\nt"), "not a readable PyTorch file"),
        (tensor(b"(I30000\nI30000\nt", b"(I0\nI0\nt"), "ask for 3600000000 bytes of memory"),
        (tensor(b"(I1000000\nt", b"(I0\nt", times=20), "ask for 68000000 bytes of memory"),
        (b"Nr\xff\xff\xff\x0fj\xff\xff\xff\x0e.", "not a readable PyTorch file"),
        (b"]q\x00h\x00a.", "a container that is in itself"),
        (b"}" + TUPLES[:-1] + b"I0\ns.", "a key of a dict is no name"),
        (b"}U\xff" + 255 * b"a" + b"I0\ns.", "a key of a dict is no name"),
        (b"(" + TUPLES[:-1] + b"NNNNtQ.", "unknown persistent id"),
        (b"N" * 2**18 + b"N.", "more than 262144 operations"),
        (b"cposix\n\x1b]0;" + b"x" * 10**5 + b"\n.", r"asks to load posix\.\?\]0;x+\.\.\.$"),
    ],
)
def test_hostile_pickles_take_neither_memory_nor_time(tmp_path, program, reason):
    with pytest.raises(UserError, match=reason) as caught:
        pth.read_pth(torch_zip(tmp_path / "a.pth", program))
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("program", [LISTS, DICTS, TUPLES])
def test_what_is_shared_is_read_once(tmp_path, program):
    found, depth = pth.read_pth(torch_zip(tmp_path / "a.pth", program)), 0
    while found:
        inner = list(found.values()) if isinstance(found, dict) else found
        assert inner[0] is inner[1]
        found, depth = inner[0], depth + 1
    assert depth == 40


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_compressed_storage_is_refused_unread(tmp_path, compression):
    path = torch_zip(tmp_path / "a.pth", tensor(size=b"I5000000\n"), bytes(20_000_000), compression)
    with pytest.raises(UserError, match="its parts are compressed"):
        pth.read_pth(path)


def test_parts_that_lie_over_each_other_are_refused(tmp_path):
    """Many members that the directory puts at one place: each by itself is within the file, all of them are not."""
    path = torch_zip(tmp_path / "a.pth", tensor(), bytes(400))
    with zipfile.ZipFile(path, "a") as archive:
        data = archive.getinfo("a/data/0")
        data.file_size = data.compress_size = 4000
        archive.writestr("a/extra", "")
    with pytest.raises(UserError, match="parts are longer than it is|not a readable PyTorch file"):
        pth.read_pth(path)
