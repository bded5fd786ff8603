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


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    program = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\ntQI0\n(I9\nt(I1\ntI00\n"
        b"tR."
    )
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", program)
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
