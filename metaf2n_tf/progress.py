"""How far the work on a photo has come: told by the loops that do it, heard by whoever shows it, or stops it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[str, int, int], object]  # what is counted, how many are done, of how many

_Item = TypeVar("_Item")
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Have all that is told in this block, in this thread, heard; what the listener raises ends the work."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def told(what: str, items: Sequence[_Item]) -> Iterator[_Item]:
    """Yield the items; before each, tell how many are done."""
    for done, item in enumerate(items):
        if listener := _listener.get():
            listener(what, done, len(items))
        yield item
