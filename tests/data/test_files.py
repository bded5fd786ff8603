import errno
import os
import signal
import subprocess
import sys

import pytest

from metaf2n_tf.data import files
from metaf2n_tf.errors import CannotWriteError, UserError


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_bytes(path, b"old")
    with pytest.raises(RuntimeError), files.replacing(path) as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_kill_while_writing_leaves_nothing_under_the_final_name(tmp_path, root):
    path = tmp_path / "a.bin"
    code = (
        "import sys, pathlib; from metaf2n_tf.data import files\n"
        f"with files.replacing(pathlib.Path({str(path)!r})) as part:\n"
        "    part.write_bytes(b'half'); print('writing', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not path.exists()
    files.write_bytes(path, b"whole")  # and the next run is not in its way
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_full_disk_is_no_fault_of_a_file(tmp_path, monkeypatch):
    """A `CannotWriteError` ends a run; what only one name is to blame for does not."""
    with pytest.raises(UserError, match="File name too long") as caught:
        files.write_bytes(tmp_path / ("n" * 256), b"")
    assert not isinstance(caught.value, CannotWriteError)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CannotWriteError, match=r"a.png: cannot be written: No space left on device"):
            files.write_bytes(tmp_path / "a.png", b"")
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(CannotWriteError, match="cannot be written to: Permission denied"):
            files.make_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_of_our_own_making_fit(tmp_path):
    long = tmp_path / ("n" * 250 + ".json")
    assert files.fitting(long) == long
    short = files.fitting(long, reserve=9)
    assert len(short.name) == 246
    assert short.suffix == ".json"
    assert short != files.fitting(tmp_path / ("n" * 249 + "m.json"), reserve=9)
    files.fitting(tmp_path / ("é" * 200)).touch()


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/below: cannot make this folder"):
        files.make_folder(tmp_path / "file" / "below")
    with pytest.raises(UserError, match=r"absent/a.txt: cannot be written"):
        files.write_bytes(tmp_path / "absent" / "a.txt", b"")
