import errno
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT

from metaf2n_tf.commands.runs import faces, metrics
from metaf2n_tf.data import files
from metaf2n_tf.data.tfrecords import records
from metaf2n_tf.errors import CannotWriteError, UserError


def test_a_pipe_is_no_file_and_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (files.crc32_of, files.sha256_of):
        with pytest.raises(OSError, match="no file"):
            read(tmp_path / "a.png")
    with pytest.raises(UserError, match="a.png: not a file"):
        records.open_set(str(tmp_path / "a.png"))


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


def test_writers_of_one_name_take_turns(tmp_path):
    """Threads here and threads of another process; each of them succeeds, and what is there is what one wrote."""
    path, sizes = tmp_path / "a.bin", range(1000, 400_000, 20_000)
    code = (
        "import sys, pathlib; from metaf2n_tf.data import files\n"
        f"for size in {list(sizes)}: files.write_bytes(pathlib.Path({str(path)!r}), bytes([size % 251]) * size)"
    )
    others = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda size: files.write_bytes(path, bytes([size % 251]) * size), [*sizes] * 8))
    assert [other.wait() for other in others] == [0, 0]
    content = path.read_bytes()
    assert len(content) in sizes
    assert set(content) == {len(content) % 251}
    assert list(tmp_path.iterdir()) == [path]


def test_one_run_a_folder(tmp_path):
    with (
        files.alone_in(tmp_path),
        pytest.raises(UserError, match="another run is writing there"),
        files.alone_in(tmp_path),
    ):
        pass
    with files.alone_in(tmp_path):
        pass
    with pytest.raises(UserError, match="absent: cannot be opened"), files.alone_in(tmp_path / "absent"):
        pass


@pytest.mark.parametrize("command", [faces, metrics])
def test_every_command_that_writes_a_folder_is_alone_in_it(tmp_path, sample_lq, command):
    """Those whose own tests do not say it: faces, metrics."""
    fields = dict.fromkeys(command.Options.__dataclass_fields__)
    places = {
        "input_dir": sample_lq.parent,
        "result_dir": sample_lq.parent,
        "output_dir": tmp_path,
        "ext": [],
        "confidence": 0.9,
    }
    places |= {"min_face": 0, "max_faces": 0}
    given = {name: value for name, value in places.items() if name in fields}
    with files.alone_in(tmp_path), pytest.raises(UserError, match="another run is writing there"):
        command.run(command.Options(**fields | given))
    assert list(tmp_path.iterdir()) == []


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


def killed(root, code, arguments):
    """Run this until it says that it waits, and end it there."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, sys, pathlib; from metaf2n_tf.data import files\n{code}", *arguments],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "waiting\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("renames", [0, 1])
def test_a_pair_is_never_of_two_runs(tmp_path, root, renames):
    """Killed before any part has its name, and between the two: the first file is there only beside its own second."""
    first, second = tmp_path / "a.param", tmp_path / "a.bin"
    files.write_pair(first, b"old", second, b"old")
    code = (
        "count, replace = 0, os.replace\n"
        "def counted(*paths):\n"
        "    global count\n"
        f"    if count == {renames}: print('waiting', flush=True); sys.stdin.read()\n"
        "    count += 1; replace(*paths)\n"
        "os.replace = counted\n"
        "first, second = map(pathlib.Path, sys.argv[1:])\n"
        "files.write_pair(first, b'new', second, b'new')"
    )
    killed(root, code, [first, second])
    assert not first.exists()
    assert second.read_bytes() == (b"new" if renames else b"old")
    files.write_pair(first, b"newer", second, b"newer")  # and the next run is not in its way
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.param": b"newer", "a.bin": b"newer"}


def test_a_pair_that_cannot_be_written_leaves_the_old_one(tmp_path):
    first, second = tmp_path / "a.param", tmp_path / "a.bin"
    files.write_bytes(first, b"old")
    second.mkdir()
    with pytest.raises(UserError, match=r"a.bin: cannot be written: Is a directory"):
        files.write_pair(first, b"new", second, b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"a.param", "a.bin"}
    assert first.read_bytes() == b"old"


def fill(folder, text):
    with files.replacing_folder(folder, ("a", "b")) as part:
        (part / "a").write_text(text)
        (part / "b").mkdir()
        (part / "b" / "c").write_text(text)


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "saved"
    for text in ("old", "new"):
        fill(folder, text)
        assert ((folder / "a").read_text(), (folder / "b" / "c").read_text()) == (text, text)
        assert list(tmp_path.iterdir()) == [folder]
    (folder / "mine").touch()
    with pytest.raises(UserError, match="saved: is there already, and holds something else"):
        fill(folder, "newer")
    assert (folder / "a").read_text() == "new"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b").mkdir()
    (tmp_path / "b" / "b" / "mine").touch()
    with pytest.raises(UserError, match="b: is there already, and holds something else"):
        fill(tmp_path / "b", "new")
    assert (tmp_path / "b" / "b" / "mine").is_file()
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(RuntimeError), files.replacing_folder(tmp_path / "other", ()) as part:
        (part / "a").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [folder]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    fill(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "new"


def test_a_killed_writer_of_a_folder_leaves_the_old_one(tmp_path, root):
    folder = tmp_path / "saved"
    fill(folder, "old")
    code = (
        "with files.replacing_folder(pathlib.Path(sys.argv[1]), ('a', 'b')) as part:\n"
        "    (part / 'a').write_text('half'); (part / 'd').mkdir(); print('waiting', flush=True); sys.stdin.read()"
    )
    killed(root, code, [folder])
    assert (folder / "a").read_text() == "old"
    fill(folder, "new")
    assert list(tmp_path.iterdir()) == [folder]
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_two_writers_of_one_folder(tmp_path):
    with (
        files.replacing_folder(tmp_path / "saved", ()),
        pytest.raises(UserError, match="another run is writing there"),
    ):
        fill(tmp_path / "saved", "new")
