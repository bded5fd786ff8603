"""What stands on stderr: lines, and beneath them a bar of the work under way and one of the work within it.

Where stderr is no terminal, or one that cannot move its cursor or does not say how large it is, there are only lines;
work then says how far it has come when nothing has been said for a while.
"""

import contextlib
import io
import math
import os
import sys
import time
from collections.abc import Iterator

from metaf2n_tf.progress import Advance, Work

_SILENCE = 30.0  # seconds without a line, after which work tells where it is
_PATIENCE = 1.0  # seconds that work within other work takes before it has a bar
_LONGEST_TITLE = 40
_LINE = "{n_fmt}/{total_fmt}{unit} {desc}, {remaining} left"
_BAR = "{n_fmt}/{total_fmt}{unit} {desc} |{bar}| {remaining} left"  # what a narrow terminal has no room for comes last

_under_way = []  # the bars of all work, drawn or not
_last_line = -math.inf  # when it was written


def printable(text: str) -> str:
    """The text with escapes for what would break its line, or do more to a terminal: names may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _can_draw() -> bool:
    if not sys.stderr.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    size = os.get_terminal_size(sys.stderr.fileno())
    return size.columns > 1 and size.lines > 3  # tqdm leaves one of each free, and the last line for another text


def write_line(text: str) -> None:
    """Write one line above the bars."""
    from tqdm import tqdm

    global _last_line
    _last_line = time.monotonic()
    tqdm.write(printable(text), file=sys.stderr)


@contextlib.contextmanager
def watch(work: Work) -> Iterator[Advance]:
    """Show how far work comes: a `Watch`."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread: with miniters=1 each call looks at the clock itself
    drawn, began = _can_draw(), time.monotonic()
    bar = tqdm(
        desc=printable(work.title)[:_LONGEST_TITLE],
        total=work.total,
        initial=work.done,
        unit="B" if work.in_bytes else "",
        unit_scale=work.in_bytes,
        bar_format=(_BAR if drawn else _LINE) if work.total else None,
        file=sys.stderr if drawn else io.StringIO(),
        delay=(_PATIENCE if _under_way else 0.0) if drawn else math.inf,
        dynamic_ncols=drawn,
        leave=False,
        miniters=1,
        smoothing=0,
        disable=False,
    )
    _under_way.append(bar)

    def advance(amount: int) -> None:
        bar.update(amount)
        if not drawn and time.monotonic() - max(began, _last_line) >= _SILENCE:
            write_line("; ".join(map(str, _under_way)))

    try:
        yield advance
    finally:
        _under_way.remove(bar)
        bar.clear()  # which `close` does not where a line has drawn it before its time
        bar.close()
