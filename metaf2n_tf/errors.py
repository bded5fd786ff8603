"""What goes wrong, said in one line: the exception that stands for a user's mistake, and TensorFlow's own errors."""

import re

_LONGEST = 200


class UserError(Exception):
    """Something the user can mend. The message names the file or flag, and the remedy."""


class CannotWriteError(UserError):
    """The place of the results is at fault, not what was to be written there: a full disk, a folder not writable."""


def first_line(error: Exception) -> str:
    """What a TensorFlow error says in its first line, without the names of nodes and operations."""
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", text.splitlines()[0])


def one_line(text: str) -> str:
    """What a file may have brought into a message, as a short line that does nothing to a terminal."""
    line = "".join(char if char.isprintable() else "?" for char in " ".join(text[: 4 * _LONGEST].split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
