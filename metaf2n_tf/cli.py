"""What the root scripts share: absl flags in, one call, an exit code out."""

import errno
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from metaf2n_tf.data import size
from metaf2n_tf.errors import UserError

_SHOWN_NAMES = 10
OK, SOME_FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


def printable(text: str) -> str:
    """The text with escapes for what would break its line, or do more to a terminal: names may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def say(message: str) -> None:
    """Print one line for the user on stderr, clear of any progress bar."""
    from tqdm import tqdm

    tqdm.write(printable(message), file=sys.stderr)


def say_names(what: str, paths: Sequence[Path]) -> None:
    """Print how many there are, and the first of them."""
    shown = ", ".join(path.as_posix() for path in paths[:_SHOWN_NAMES])
    say(f"{what} ({len(paths)}): {shown}{', ...' if len(paths) > _SHOWN_NAMES else ''}")


def counted(count: int, one: str, many: str) -> str:
    """`(1, "photo is", "photos are")` -> `"1 photo is"`."""
    return f"{count} {one if count == 1 else many}"


def parse_ints(flag: str, text: str) -> list[int]:
    """`"0,1,5"` -> `[0, 1, 5]`: distinct non-negative numbers, in the given order."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise UserError(f"--{flag} {text}: expected a number, or distinct numbers like 0,1,5")
    return numbers


def parse_floats(flag: str, parts: Sequence[str]) -> list[float]:
    """`["1e-3", "0.01"]` -> `[0.001, 0.01]`: distinct finite numbers, in the given order."""
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)) or len(set(numbers)) < len(numbers):
        raise UserError(f"--{flag} {','.join(parts)}: expected a number, or distinct numbers like 1e-3,1e-2")
    return numbers


def define_max_megapixels() -> None:
    """Define the flag of every command that reads pictures; `run` sets what it says."""
    flags.DEFINE_integer(
        "max_megapixels", size.MAX_MEGAPIXELS, "Largest picture that is read or written, in megapixels.", lower_bound=1
    )


class _Output(io.FileIO):
    """Standard output or error; no work ends because it takes no more: its disk is full, or its reader has gone."""

    _said = False

    def write(self, data: bytes) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self.fileno() == 1 and error.errno != errno.EPIPE and not self._said:
                self._said = True
                say(f"note: standard output cannot be written: {error.strerror}")
            return len(data)


def _open_streams() -> None:
    """Let what is printed go astray where it has no place to go.

    Where the shell closed it (`2>&-`), that is before another file takes its number.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            opened = os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, opened)
            setattr(sys, f"__{name}__", opened)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):  # not that of a notebook, or of a test
            stream.flush()
            lines = {"line_buffering": stream.line_buffering, "encoding": stream.encoding, "errors": stream.errors}
            raw = io.BufferedWriter(_Output(number, "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, **lines))


def _fail(message: str) -> int:
    say("error: " + " ".join(message.split()))
    return USER_ERROR


def _parse_flags(argv: list[str]) -> list[str]:
    app.define_help_flags()
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit(_fail(f"{error} (--help lists the flags)"))


def run(main: Callable[..., int], takes_names: bool = False) -> None:
    """Parse the command line, call `main` and exit with its code; a `UserError` is one line and exit code 2.

    Args:
      main: called as `main(FLAGS)`, or as `main(FLAGS, names)` with the arguments that are not flags.
      takes_names: whether there may be such arguments.
    """

    def guarded(argv: list[str]) -> int:
        try:
            if "max_megapixels" in flags.FLAGS:
                size.set_max_megapixels(flags.FLAGS.max_megapixels)
            if takes_names:
                return main(flags.FLAGS, argv[1:])
            if argv[1:]:
                raise UserError(f"unexpected argument {argv[1]!r} (--help lists the flags)")
            return main(flags.FLAGS)
        except UserError as error:
            return _fail(str(error))
        except KeyboardInterrupt:
            say("interrupted: what was finished is kept")
            return INTERRUPTED

    _open_streams()
    app.run(guarded, flags_parser=_parse_flags)
