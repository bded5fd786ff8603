"""What goes wrong, said in one line: the exception that stands for a user's mistake, and TensorFlow's own errors."""

import re


class UserError(Exception):
    """Something the user can mend. The message names the file or flag, and the remedy."""


def first_line(error: Exception) -> str:
    """What a TensorFlow error says in its first line, without the names of nodes and operations."""
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", text.splitlines()[0])
