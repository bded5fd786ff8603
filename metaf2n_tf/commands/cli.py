"""What all commands share: flags in, one call, lines for a person, an exit code out.

A command is a module with a docstring, `define_flags()` and `main(FLAGS, names)`, which returns the exit code; `TAKES`
says what it takes beside flags, or is empty.
"""

import dataclasses
import errno
import io
import logging
import math
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from absl import app, flags
from absl import logging as absl_logging

from metaf2n_tf import progress
from metaf2n_tf.commands import terminal
from metaf2n_tf.data import size
from metaf2n_tf.errors import Argument, DivergedError, Message, UserError
from metaf2n_tf.wording import some_names

_Options = TypeVar("_Options", bound=Any)

OK, SOME_FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


def _spell(argument: Argument) -> str:
    """An argument as this command has it: a flag where it has one of that name."""
    if argument.name not in flags.FLAGS:
        return str(argument)
    return f"--{argument.name}" if argument.value is None else f"--{argument.name} {argument.value}"


def spelled(message: str | Message | UserError) -> str:
    """A message of the library as a user of this command reads it."""
    return Message(message).spelled(_spell)


def say(message: str | Message | UserError) -> None:
    """Print one line for the user on stderr, clear of any progress bar."""
    terminal.write_line(spelled(message))


class _Said(logging.Handler):
    """What the library logs, said."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record, of which a `Message` may be all there is."""
        try:
            say(record.msg if isinstance(record.msg, Message | UserError) else record.getMessage())
        except Exception:
            self.handleError(record)


def say_what_is_logged() -> None:
    """Have the library's logger speak to the user of this command."""
    logger = logging.getLogger("metaf2n_tf")
    logger.handlers, logger.propagate = [_Said()], False
    logger.setLevel(logging.INFO)


def say_names(what: str, paths: Sequence[Path]) -> None:
    """Print how many there are, and the first of them."""
    say(f"{what} {some_names(paths)}")


def parse_ints(flag: str) -> list[int]:
    """The value of a flag, `"0,1,5"` -> `[0, 1, 5]`: distinct non-negative numbers, in the given order."""
    text = str(flags.FLAGS[flag].value)
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise UserError(Argument(flag, text), ": expected a number, or distinct numbers like 0,1,5")
    return numbers


def parse_floats(flag: str) -> list[float]:
    """The value of a flag, `["1e-3", "0.01"]` -> `[0.001, 0.01]`: distinct finite numbers, in the given order."""
    parts: list[str] = flags.FLAGS[flag].value or []
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)) or len(set(numbers)) < len(numbers):
        raise UserError(Argument(flag, ",".join(parts)), ": expected a number, or distinct numbers like 1e-3,1e-2")
    return numbers


def options_from(options: type[_Options], **others: Any) -> _Options:
    """A dataclass of a command's options: `others`, and the flags that are called like its other fields."""
    names = [field.name for field in dataclasses.fields(options) if field.name not in others]
    return options(**{name: flags.FLAGS[name].value for name in names if name in flags.FLAGS}, **others)


def optional_path(text: str | None) -> Path | None:
    """A flag's path; None where it is left out, or empty."""
    return Path(text) if text else None


class _Output(io.FileIO):
    """Standard output or error; no work ends because it takes no more: its disk is full, or its reader has gone."""

    _said = False

    def write(self, data: Any, /) -> int:
        """As `FileIO`; what cannot be written is gone."""
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
            by_line = stream.line_buffering or stream.write_through  # the latter of PYTHONUNBUFFERED
            lines = {"line_buffering": by_line, "encoding": stream.encoding, "errors": stream.errors}
            raw = io.BufferedWriter(_Output(number, "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, **lines))


def ended(stopped_by: int | None) -> int:
    """The exit code of a training: 0, or 128 and the number of the signal that stopped it."""
    return OK if stopped_by is None else 128 + stopped_by


def _fail(message: str | UserError) -> int:
    say("error: " + " ".join(spelled(message).split()))
    return USER_ERROR


def _parse_flags(argv: list[str]) -> list[str]:
    app.define_help_flags()
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit(_fail(f"{error} (--help lists the flags)"))
    except SystemExit:  # of --help, which absl ends with 1
        sys.exit(OK)


def _help(text: str, name: str) -> str:
    """A command's description. As `metaf2n` shows it, which may have no scripts beside it, all examples are its own."""
    if not name.startswith("metaf2n "):
        return text
    lines = re.sub(r"^python \S+", name, text, flags=re.MULTILINE).splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines) if line == "\n" or line not in lines[:number])


def run(command: ModuleType, argv: Sequence[str] | None = None) -> None:
    """Parse the command line, call the command and exit with its code; a `UserError` is one line and exit code 2.

    Args:
      command: its module.
      argv: the command line, its name first; None for that of the process.
    """
    argv = list(sys.argv if argv is None else argv)
    sys.modules["__main__"].__doc__ = _help(command.__doc__ or "", argv[0])  # which absl shows
    sys.argv[0] = argv[0]
    command.define_flags()
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith(f"{__package__}.") else ():
            flags.FLAGS.register_key_flag_for_module(argv[0], flag)

    def guarded(argv: list[str]) -> int:
        names = argv[1:]
        if not flags.FLAGS["verbosity"].present:
            absl_logging.set_verbosity(absl_logging.WARNING)  # absl's INFO lets other packages tell of every step
        try:
            if "max_megapixels" in flags.FLAGS:
                size.set_max_megapixels(flags.FLAGS.max_megapixels)
            if names and not command.TAKES:
                raise UserError(f"unexpected argument {names[0]!r} (--help lists the flags)")
            with progress.watched_by(terminal.watch):
                return command.main(flags.FLAGS, names)
        except DivergedError as error:
            _fail(error)
            return SOME_FAILED
        except UserError as error:
            return _fail(error)
        except KeyboardInterrupt:
            say("interrupted: what was finished is kept")
            return INTERRUPTED

    _open_streams()
    say_what_is_logged()
    app.run(guarded, argv=argv, flags_parser=_parse_flags)


def path_of(flag: str, names: Sequence[str]) -> str:
    """The path that is named with a flag that has a default or, in its place, without one.

    Raises:
      UserError: both, or several, or nothing of the name that is given without the flag.
    """
    if len(names) > (0 if flags.FLAGS[flag].present else 1):
        raise UserError(f"unexpected argument {names[-1]!r} (--help lists the flags)")
    if names and not os.path.exists(names[0]):
        raise UserError(f"{names[0]}: no such file or folder")
    return names[0] if names else str(flags.FLAGS[flag].value)
