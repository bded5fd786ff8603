"""Lines and bars on stderr: what stands on a terminal's screen, and what is in a log."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata

import commands
import pytest

from metaf2n_tf.commands import terminal

# Two photos, the first of three tiles, and a line after each. The clock stands still but where it is told not to.
SCRIPT = """
import os, sys, time
now = [0.0]
time.time = time.monotonic = lambda: now[0]
from metaf2n_tf import progress
from metaf2n_tf.commands import cli, terminal
title, seconds, names = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
cli._open_streams()
with progress.watched_by(terminal.watch):
    for number, name in enumerate(progress.each(names, title, len(names)), 1):
        for _ in progress.each(range(3), "tiles", 3) if number == 1 else ():
            now[0] += seconds
            if "noted" in title:
                cli.say("a note")
        cli.say(f"{number}/{len(names)} {name}")
    with progress.of("a\\x1b[31mb\\n", 3_000_000, done=500_000, in_bytes=True) as advance:
        for _ in range(2):
            now[0] += 4
            advance(1_000_000)
cli.say("done")
"""


def environment(**changed):
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "TERM")}
    return {**kept, "PYTHONPATH": str(commands.ROOT), **changed}


def on_terminal(*arguments, columns=80, rows=24, **changed):
    """All that the script writes on a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-c", SCRIPT, *arguments]
    process = subprocess.Popen(command, stderr=theirs, env=environment(**{"TERM": "xterm", **changed}))
    os.close(theirs)
    written = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        written += block
    os.close(ours)
    assert process.wait() == 0, written
    return written.decode()


def screens_of(written, columns=80):
    """What stands on a terminal that is sent this, after each of its parts, wrapped as it would wrap them."""
    lines, row, column, screens = [[]], 0, 0, []
    for part in re.split("(\r|\n|\x1b\\[A)", written):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
        elif part == "\x1b[A":
            row -= 1
        for char in "" if part in ("\r", "\n", "\x1b[A") else part:
            assert char.isprintable(), repr(char)
            width = 2 if unicodedata.east_asian_width(char) in "FW" else 1
            if column + width > columns:
                row, column = row + 1, 0
            lines += [[] for _ in range(row + 1 - len(lines))]
            lines[row] += " " * (column + width - len(lines[row]))
            lines[row][column : column + width] = [char, *[""] * (width - 1)]
            column += width
        screens.append("\n".join("".join(line).rstrip() for line in lines).rstrip("\n").split("\n"))
    return screens


def bar(counts, left, share, columns=79):
    """A bar as tqdm draws it, whose last block may be in part."""
    room = columns - len(f"{counts} || {left} left")
    eighths = int(share * room * 8)
    part = " ▏▎▍▌▋▊▉"[eighths % 8] if eighths // 8 < room else ""
    return f"{counts} |{('█' * (eighths // 8) + part).ljust(room)}| {left} left"


def test_one_bar_over_photos_and_one_over_the_tiles_of_a_long_one():
    screens = screens_of(on_terminal("photos", "2", "a.png", "b.png"))
    assert [bar("0/2 photos", "?", 0)] in screens
    assert [bar("0/2 photos", "?", 0), bar("2/3 tiles", "00:02", 2 / 3)] in screens
    assert ["1/2 a.png", bar("1/2 photos", "00:06", 1 / 2)] in screens
    assert ["1/2 a.png", "2/2 b.png", bar("1.50M/3.00MB a\\x1b[31mb\\n", "00:06", 1 / 2)] in screens
    assert screens[-1] == ["1/2 a.png", "2/2 b.png", "done"]


def test_what_is_done_quickly_has_no_bar_of_its_own():
    assert "tiles" not in on_terminal("photos", "0.2", "a.png", "b.png")


@pytest.mark.parametrize("seconds", ["0.2", "2"])
def test_a_line_in_the_midst_of_work_stands_above_its_bars(seconds):
    screens = screens_of(on_terminal("noted photos", seconds, "a.png", "b.png"))
    assert not any("tiles" in screen[-1] for screen in screens if "1/2 a.png" in screen)
    assert screens[-1] == ["a note"] * 3 + ["1/2 a.png", "2/2 b.png", "done"]


@pytest.mark.parametrize("columns", [2, 20, 80])
@pytest.mark.parametrize("name", ["n" * 300, "写真" * 90, "\x1b[2J\r\n\x9b\u202e\udcff.png", "👩‍👩‍👧" * 30])
def test_nothing_of_a_bar_is_left_behind_whatever_the_names(name, columns):
    screens = screens_of(on_terminal(name, "2", name, name, columns=columns), columns)
    shown = terminal.printable(name)
    lines = screens_of(f"1/2 {shown}\r\n2/2 {shown}\r\ndone\r\n", columns)[-1]
    assert screens[-1] == lines
    assert max(map(len, screens)) <= len(lines) + 2


def test_a_narrow_terminal_shows_the_counts():
    assert ["0/2 photos | | ? le", "2/3 tiles |▋| 00:02"] in screens_of(
        on_terminal("photos", "2", "a.png", "b.png", columns=20), 20
    )


@pytest.mark.parametrize("changed", [{"TERM": "dumb"}, {"TERM": ""}, {"columns": 0}, {"columns": 1}, {"rows": 3}])
def test_a_terminal_that_cannot_draw_gets_lines(changed):
    assert on_terminal("photos", "2", "a.png", "b.png", **changed) == "1/2 a.png\r\n2/2 b.png\r\ndone\r\n"


def in_pipe(*arguments):
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment(TERM="xterm")).stderr


def test_a_log_has_a_line_a_photo():
    assert in_pipe("photos", "2", "a.png", "b.png") == "1/2 a.png\n2/2 b.png\ndone\n"


@pytest.mark.parametrize(("title", "shown"), [("photos", "photos"), ("n" * 300, "n" * 40)])
def test_a_log_says_where_long_work_is_when_nothing_else_was_said_for_a_while(title, shown):
    assert in_pipe(title, "20", "a.png", "b.png").splitlines() == [
        f"0/2 {shown}, ? left; 2/3 tiles, 00:20 left",
        "1/2 a.png",
        "2/2 b.png",
        "done",
    ]


def test_with_stderr_closed_the_work_is_done():
    command = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", SCRIPT, "photos", "2", "a.png"]
    assert subprocess.run(command, check=False, env=environment()).returncode == 0


def test_python_use_draws_nothing(capfd):
    import numpy as np
    import srvgg_weights

    from metaf2n_tf.tiles import SuperResolver

    resolver = SuperResolver(tile=32, tile_pad=0)
    assert resolver(srvgg_weights.make_tiny(), np.zeros((40, 70, 3), np.float32)).shape == (160, 280, 3)
    assert capfd.readouterr().err == ""
