"""What goes wrong, said in one line: the exception that stands for a user's mistake, and TensorFlow's own errors."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, Union

_LONGEST = 200


class Argument(NamedTuple):
    """An argument that a message speaks of, with its value where that is at fault or the remedy.

    In Python it reads `patch_size=30`; a command spells it `--patch_size 30`, which only it can know.
    """

    name: str
    value: object = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


Part = Union[str, Argument, "Message", "UserError"]


class Message:
    """A sentence for a person, some of whose parts are arguments, as yet not spelled."""

    def __init__(self, *parts: Part):
        self.parts = parts

    def spelled(self, spell: Callable[[Argument], str]) -> str:
        """The sentence with its arguments as `spell` has them."""
        return "".join(spell(part) if isinstance(part, Argument) else part for part in self._flat())

    def _flat(self) -> Iterator[str | Argument]:
        for part in self.parts:
            part = part.message if isinstance(part, UserError) else part
            yield from part._flat() if isinstance(part, Message) else (part,)

    def __str__(self) -> str:
        return self.spelled(str)


class UserError(Exception):
    """Something the user can mend. The message names the file or argument, and the remedy."""

    def __init__(self, *parts: Part):
        """`parts` make up the message; see `Message`."""
        super().__init__(*map(str, parts))
        self.message = Message(*parts)

    def __str__(self) -> str:
        return str(self.message)


class CannotWriteError(UserError):
    """The place of the results is at fault, not what was to be written there: a full disk, a folder not writable."""


class DivergedError(UserError):
    """A training whose losses or gradients are no longer finite."""


def first_line(error: Exception) -> str:
    """What a TensorFlow error says in its first line, without the names of nodes and operations."""
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", str(text).splitlines()[0])


def one_line(text: str) -> str:
    """What a file may have brought into a message, as a short line that does nothing to a terminal."""
    line = "".join(char if char.isprintable() else "?" for char in " ".join(text[: 4 * _LONGEST].split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
