"""What stands on stderr: lines, and beneath them a bar of the first work under way and one of the last within it.

Where stderr is no terminal, or one that cannot move its cursor or does not say how wide it is, there are only lines;
work then says how far it has come when nothing has been said for a while.
"""

import contextlib
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator

from metaf2n_tf.progress import Advance, Work

_SILENCE = 30.0  # seconds without a line, after which work tells where it is
_PATIENCE = 1.0  # seconds that work within other work takes before it has a bar
_BETWEEN = 0.1  # seconds from one drawing of a work to the next
_BAR = 10  # characters
_LONGEST_TITLE = 40


def printable(text: str) -> str:
    """The text with escapes for what would break its line, or do more to a terminal: names may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cut(text: str, columns: int) -> str:
    """As much of the text as fits into so many columns, of which some characters take two."""
    taken = 0
    for place, char in enumerate(text):
        taken += 2 if unicodedata.east_asian_width(char) in "FW" else 1
        if taken > columns:
            return text[:place]
    return text


def _width() -> int:
    """The columns to draw bars in, 0 where none can be drawn."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return 0
    return max(0, os.get_terminal_size(sys.stderr.fileno()).columns - 1)  # a full line may wrap


class _UnderWay:
    """Work, and how far it has come."""

    def __init__(self, work: Work):
        self.work, self.done = work, work.done
        self.began = self._at = time.monotonic()  # and when it had come so far

    def advance(self, amount: int) -> None:
        self.done, self._at = self.done + amount, time.monotonic()

    def _counts(self) -> str:
        numbers = ["?" if number is None else number for number in (self.done, self.work.total)]
        if self.work.in_bytes:
            numbers = [number if number == "?" else f"{number / 1e6:.1f}" for number in numbers]
        title = printable(self.work.title[:_LONGEST_TITLE])
        return f"{numbers[0]}/{numbers[1]} {'MB ' if self.work.in_bytes else ''}{title}"

    def _left(self) -> str:
        newly = self.done - self.work.done
        if not self.work.total or newly <= 0:
            return ""
        left = (self._at - self.began) / newly * (self.work.total - self.done) - (time.monotonic() - self._at)
        seconds = max(0, round(left))
        return f", {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"

    def line(self) -> str:
        """How far it has come, in words."""
        return f"{self._counts()}{self._left()}"

    def bar(self) -> str:
        """The same with a bar; what a narrow terminal has no room for comes last."""
        share = min(1.0, self.done / self.work.total) if self.work.total else 0.0
        full = int(_BAR * share)
        return f"{self._counts()} [{'#' * full}{'.' * (_BAR - full)}]{self._left()}"


class _Screen:
    """Lines and bars, as far as this process writes them."""

    def __init__(self):
        self._works: list[_UnderWay] = []
        self._bars = 0  # that stand there
        self._last_line = 0.0
        self._lock = threading.RLock()

    def _shown(self) -> list[_UnderWay]:
        """The first work, and the last within it once that takes a while."""
        within = [shown for shown in self._works[1:][-1:] if time.monotonic() - shown.began >= _PATIENCE]
        return [shown for shown in self._works[:1] + within if shown.work.total != 0]

    def _put(self, line: str) -> None:
        """Write a line, or nothing, and draw the bars anew beneath it."""
        with self._lock:
            width = _width()
            bars = [_cut(work.bar(), width) for work in self._shown()] if width else []
            erased = "\r" + (self._bars - 1) * "\x1b[A" + "\x1b[J" if self._bars else ""
            sys.stderr.write(erased + line + "\n".join(bars))
            sys.stderr.flush()
            self._bars = len(bars)

    def write_line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._put(f"{printable(text)}\n")

    @contextlib.contextmanager
    def watch(self, work: Work) -> Iterator[Advance]:
        under_way, drawn = _UnderWay(work), -_BETWEEN

        def advance(amount: int) -> None:
            nonlocal drawn
            under_way.advance(amount)
            now = time.monotonic()
            if _width():
                if now - drawn >= _BETWEEN:
                    self._put("")
                    drawn = now
            elif now - max(under_way.began, self._last_line) >= _SILENCE:
                self.write_line("; ".join(work.line() for work in self._shown()))

        self._works.append(under_way)
        self._put("")
        try:
            yield advance
        finally:
            self._works.remove(under_way)
            self._put("")


_screen = _Screen()
write_line, watch = _screen.write_line, _screen.watch
