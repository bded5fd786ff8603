"""How far long work has come: the library reports it, and nothing is shown of it unless somebody watches."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

_Item = TypeVar("_Item")


class Work(NamedTuple):
    """What is reported when it begins.

    title: what is done, or what of; total: how much there is to do, None where that is not known; done: how much of it
    was done earlier; in_bytes: whether bytes are counted, and not things.
    """

    title: str
    total: int | None
    done: int = 0
    in_bytes: bool = False


Advance = Callable[[int], object]  # takes how much was done since the last call
Watch = Callable[[Work], AbstractContextManager[Advance]]


def _unwatched(_: Work) -> AbstractContextManager[Advance]:
    return contextlib.nullcontext(lambda amount: None)


_watch: ContextVar[Watch] = ContextVar("watch", default=_unwatched)


@contextlib.contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """Have `watch` told of all work in the `with` block, as far as this thread does it.

    Work may begin within other work, and ends before that does.
    """
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def of(title: str, total: int | None, done: int = 0, in_bytes: bool = False) -> AbstractContextManager[Advance]:
    """Report the `Work` of the `with` block, which gets what to call on its way."""
    return _watch.get()(Work(title, total, done, in_bytes))


def each(items: Iterable[_Item], title: str, total: int) -> Iterator[_Item]:
    """The items; each counts as done when the next one is asked for."""
    with of(title, total) as advance:
        for item in items:
            yield item
            advance(1)
