"""What the root scripts share: absl flags in, one call, an exit code out."""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from metaf2n_tf.errors import UserError

_SHOWN_NAMES = 10
OK, SOME_FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


def say(message: str) -> None:
    """Print one line for the user on stderr, clear of any progress bar."""
    from tqdm import tqdm

    tqdm.write(message, file=sys.stderr)


def say_names(what: str, paths: Sequence[Path]) -> None:
    """Print how many there are, and the first of them."""
    shown = ", ".join(path.as_posix() for path in paths[:_SHOWN_NAMES])
    say(f"{what} ({len(paths)}): {shown}{', ...' if len(paths) > _SHOWN_NAMES else ''}")


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

    app.run(guarded, flags_parser=_parse_flags)
