"""Pickles of weight files, read without running anything that a file may carry.

A pickle is a program for a small machine with a stack. This machine knows containers, scalars and the names that it is
told; it has nothing that sets attributes, makes objects of classes, or takes memory that the file has no bytes for.
"""

import contextlib
import io
import pickle
import pickletools
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from metaf2n_tf.errors import UserError, one_line

# What the machine, zipfile and our own checks raise on files that are cut, damaged, or of another kind.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
    ArithmeticError,
    RuntimeError,
    zlib.error,
)
_MOST_OPERATIONS = 1 << 18  # some half a second; a network of 700 variables has 25,000
_LONGEST_KEY = 250

# fmt: off
_SCALARS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
}
# fmt: on
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Filled:
    """What a pickle makes empty and fills in afterwards; `fill` takes what it brings."""

    __slots__ = ()

    def fill(self, state: object) -> None:
        """Take the state, or raise a ValueError or another sign of damage."""
        raise NotImplementedError


def whole(number: object) -> int:
    """The number if it is one to count or to measure with: a plain int of Python's, from 0 to below 2^62."""
    if type(number) is int and 0 <= number < 1 << 62:
        return number
    raise ValueError("something else stands where a number belongs")


def _no_persistent(_: object) -> object:
    raise ValueError("it refers to something outside of it")


class _Machine:
    """The stack, the marks on it and the memo of one pickle."""

    def __init__(self, admitted: Mapping[tuple[str, str], object], persistent: Callable[[object], object]):
        self._admitted, self._persistent = admitted, persistent
        self._stack, self._marks, self._memo = [], [], {}

    def _since_mark(self) -> list:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _name(self, module: object, name: object) -> object:
        if isinstance(module, str) and isinstance(name, str) and (module, name) in self._admitted:
            return self._admitted[module, name]
        raise UserError(f"it asks to load {module}.{name}, and only tensors and containers are admitted")

    def _call(self, function: object, arguments: object) -> object:
        if not isinstance(function, FunctionType) or not isinstance(arguments, tuple):
            raise ValueError("it calls what cannot be called")
        return function(*arguments)

    def _set(self, items: list) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise ValueError("it sets an item of what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            is_name = isinstance(key, str) and len(key) <= _LONGEST_KEY
            # Other keys may take long to hash, or all have the same hash.
            if not is_name and not (type(key) is int and key.bit_length() < 61):
                raise ValueError("a key of a dict is no name")
            target[key] = value

    def _append(self, items: list) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise ValueError("it appends to what is no list")
        target.extend(items)

    def step(self, operation: str, argument: Any) -> None:
        """One operation, by the name that pickletools has for it."""
        stack = self._stack
        if operation in _SCALARS:
            stack.append(argument)
            return
        if operation in _CONSTANTS:
            stack.append(_CONSTANTS[operation])
            return
        if operation in _SHORT_TUPLES:
            stack[-_SHORT_TUPLES[operation] :] = [tuple(stack[-_SHORT_TUPLES[operation] :])]
            return
        match operation:
            case "PROTO" | "FRAME":
                pass
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(self._memo[argument])
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "LIST":
                stack.append(self._since_mark())
            case "DICT":
                items = self._since_mark()
                stack.append({})
                self._set(items)
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "APPEND":
                self._append([stack.pop()])
            case "APPENDS":
                self._append(self._since_mark())
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._set([key, value])
            case "SETITEMS":
                self._set(self._since_mark())
            case "GLOBAL":
                stack.append(self._name(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(self._name(module, name))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._call(function, arguments))
            case "BINPERSID":
                stack.append(self._persistent(stack.pop()))
            case "BUILD":
                state, target = stack.pop(), stack[-1]
                if isinstance(target, Filled):
                    target.fill(state)
                elif not isinstance(target, dict):  # PyTorch gives its dicts attributes that nothing here needs
                    raise ValueError("it fills what cannot be filled")
            case _:
                raise ValueError(f"it has an operation {operation}, for which weights have no use")

    def result(self) -> object:
        """What is left on top when it stops."""
        return self._stack[-1]


def load(
    stream: io.BytesIO,
    admitted: Mapping[tuple[str, str], object],
    persistent: Callable[[object], object] = _no_persistent,
) -> Any:
    """Read one pickle, and nothing of the stream behind it.

    Args:
      stream: in memory, so that it gives no more bytes than there are.
      admitted: what stands for `(module, name)`: functions, which the pickle may call, and values to pass on to them.
      persistent: what stands for a persistent id.

    Returns:
      Dicts, lists, tuples and scalars, and what the functions make. A container may be in several places, and in
      itself: whoever walks through it has to remember where they were.

    Raises:
      UserError: a name that is not admitted. Otherwise one of what `reading` turns into one.
    """
    machine = _Machine(admitted, persistent)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name == "STOP":
            break
        if count == _MOST_OPERATIONS:
            raise ValueError(f"more than {_MOST_OPERATIONS} operations")
        machine.step(opcode.name, argument)
    return machine.result()


@contextlib.contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file of some kind is read into one line that names it.

    Raises:
      UserError: no such file, unreadable, another kind of file, truncated, or a name that is not admitted.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text of the file may be none that Python likes
            yield
    except UserError as error:
        raise UserError(f"{path}: {one_line(str(error))}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _DAMAGE as error:
        reason = one_line(str(error))
        detail = f" ({reason})" if reason else ""
        raise UserError(
            f"{path}: not a readable {kind}: truncated, damaged or of another kind{detail}. Remedy: download it again"
        ) from error
