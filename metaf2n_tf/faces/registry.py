"""Which detector and which restorer a run uses: the one asked for, or the first whose weights are there."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.weights.catalogue import CATALOGUE
from metaf2n_tf.weights.fetch import fetch


class Row(Protocol):
    """What a row of `DETECTORS` and one of `RESTORERS` have in common."""

    @property
    def weights(self) -> str | None:
        """Their name in the catalogue, None where it has none of its own."""
        ...

    @property
    def fetched(self) -> bool:
        """Whether they are fetched when they are not there."""
        ...


def find_weights(name: str, fetched: bool = False) -> Path:
    """The file of the weights of a name in the catalogue.

    Raises:
      UserError: it is not there, and not `fetched` either; the message says where to get it. It is another file than
        the one that a library of others can be trusted with.
    """
    entry = CATALOGUE[name]
    path = entry.path
    if os.path.isfile(path):  # unlike Path's, it takes a folder that may not be searched for one without the file
        if entry.read_by_others and files.sha256_of(path) != entry.read_by_others:
            raise UserError(f"{path}: damaged, or another file than {entry.what}. Remedy: delete it and fetch it again")
        return path
    if fetched:
        return fetch(name, entry)
    raise entry.missing(name)


def choose(
    argument: str, name: str | None, table: Mapping[str, Row], preferred: Sequence[str]
) -> tuple[str, Path | None, str]:
    """Choose from a table.

    Args:
      argument: `detector` or `restorer`, for messages.
      name: the one that the user asked for, `NAME` or `NAME:WEIGHTS`, None for the first of `preferred` whose weights
        are there.
      table: all there are.
      preferred: names to try.

    Returns:
      Its name, the path of its weights if it has any of its own, and in words why those before it were not taken.

    Raises:
      UserError: no such name, or its weights are not there.
    """
    key, colon, path = (name or "").partition(":")
    if name is not None and (key not in table or (colon and not path)):
        raise UserError(Argument(argument, name), f": not one of {', '.join(table)}")
    if path:
        if table[key].weights is None:
            raise UserError(Argument(argument, name), f": {key} has no weights of its own")
        return key, Path(path), ""
    refused = []
    for candidate in preferred if name is None else (key,):
        row = table[candidate]
        try:
            weights = find_weights(row.weights, row.fetched) if row.weights else None
        except UserError as error:
            if name is not None:
                raise UserError(Argument(argument, name), ": ", error) from None
            refused.append(f"; not {candidate}: {str(error).split('. ')[0]}")
        else:
            return candidate, weights, "".join(refused)
    raise UserError(Argument(argument), f": none can be used{''.join(refused)}")
