import os
import signal
import subprocess
import sys

import pytest

from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError


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


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/below: cannot make this folder"):
        files.make_folder(tmp_path / "file" / "below")
    with pytest.raises(UserError, match=r"absent/a.txt: cannot be written"):
        files.write_bytes(tmp_path / "absent" / "a.txt", b"")
