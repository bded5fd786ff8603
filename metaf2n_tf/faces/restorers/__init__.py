"""Face restorers. `RESTORERS` is the table of them: photos, meta-batches, help texts and the default come from it.

A restorer is one file and one row. Nothing of a file is imported before its restorer is chosen, so that help texts do
without TensorFlow.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from metaf2n_tf.errors import Argument, UserError

if TYPE_CHECKING:
    import numpy as np

    from metaf2n_tf.data.meta_batches import BatchRestorer
    from metaf2n_tf.faces.detect import Face
    from metaf2n_tf.faces.restored import PhotoRestorer


@dataclass(frozen=True)
class Needs:
    """What a restorer may need beside its weights.

    sr: gives the SR network's params, `{name: array or tensor}`; exemplar_dir, exemplar_map: HQ photos of persons and
    who is who, see `faces.exemplars.persons`; find_faces: detects faces in them, uint8 (H, W, 3) to faces.
    """

    sr: Callable[[], Mapping] | None = None
    exemplar_dir: Path | None = None
    exemplar_map: Path | None = None
    find_faces: "Callable[[np.ndarray], list[Face]] | None" = None


class Loaded(Protocol):
    """What a restorer's file makes of its weights; `aligned.Aligned` and `in_place.InPlace` are two for any network."""

    def for_photos(self, published_crops: bool) -> "PhotoRestorer":
        """The restorer of the faces of photos; `published_crops` where HQ faces are cut as the published script does.

        Raises:
          UserError: it cannot be.
        """
        ...

    def for_batches(self, side: int) -> "BatchRestorer":
        """The restorer of whole batches of aligned LQ faces, whose HQ faces have `side` pixels.

        Raises:
          UserError: it cannot be, or not of this size.
        """
        ...


@dataclass(frozen=True)
class Restorer:
    """A row of the table: what is known of a restorer before anything of it is imported.

    module: its file, whose `load(weights, needs)` reads the weights, a path or None, and gives a `Loaded`; words: what
    it is, for help texts; weights: their name in the catalogue, None where it has none of its own; fetched: whether
    they are fetched when they are not there; photos, batches: whether it is for the faces of photos, and for
    meta-batches; default: whether it is taken if none is asked for and its weights are there; exemplars: whether it
    needs HQ photos of the person; aligns: whether it takes aligned faces, which can then be shown, and be cut as
    published; smallest: the least LQ pixels of a face's shorter side at which it has been measured to help, 0 where
    that is not known; note: what a user should know of its results.
    """

    module: str
    words: str
    weights: str | None = None
    fetched: bool = False
    photos: bool = True
    batches: bool = True
    default: bool = False
    exemplars: bool = False
    aligns: bool = False
    smallest: int = 0
    note: str = ""


def _gpen(size: int, weights: str, words: str, default: bool = False, batches: bool = False) -> Restorer:
    words = f"GPEN at {size} pixels{words}"
    return Restorer(f"{__name__}.gpen", words, weights, batches=batches, default=default, aligns=True)


RESTORERS: dict[str, Restorer] = {
    "gpen": _gpen(512, "gpen-bfr-512", ", as published for testing", default=True),
    "gpen_256": _gpen(256, "gpen-bfr-256", ", as published for training", batches=True),
    "gpen_1024": _gpen(1024, "gpen-bfr-1024", ""),
    "gpen_2048": _gpen(2048, "gpen-bfr-2048", ""),
    "asffnet": Restorer(
        f"{__name__}.asffnet", "ASFFNet, with photos of the person", "asffnet", exemplars=True, aligns=True
    ),
    "kdfsrnet": Restorer(f"{__name__}.kdfsrnet", "KDFSRNet's student", "kdfsrnet", aligns=True),
    "faces_lite": Restorer(
        f"{__name__}.faces_lite", "our own small one, which is shipped", "faces-lite", default=True, smallest=12
    ),
    "self_ensemble": Restorer(
        f"{__name__}.self_ensemble",
        "no face restorer, only the SR network averaged over flips and rotations",
        note="self_ensemble is no face restorer: expect a little tint and brightness from it, not detail",
    ),
    "none": Restorer(f"{__name__}.enlarged", "the LQ face enlarged", photos=False),
    "ground_truth": Restorer(f"{__name__}.ground_truth", "the face as it was", photos=False),
}


def of_photos() -> dict[str, Restorer]:
    """Those for the faces of photos."""
    return {name: row for name, row in RESTORERS.items() if row.photos}


def of_batches() -> dict[str, Restorer]:
    """Those for meta-batches."""
    return {name: row for name, row in RESTORERS.items() if row.batches}


def without_exemplars() -> list[str]:
    """The names of those for photos that take no photos of the persons."""
    return [name for name, row in of_photos().items() if not row.exemplars]


def takes_exemplars(choice: str | None) -> bool:
    """Whether a restorer, `NAME` or `NAME:WEIGHTS`, needs photos of the persons; None is one that does not."""
    row = RESTORERS.get((choice or "").partition(":")[0])
    return row is not None and row.exemplars


def described(table: Mapping[str, Restorer]) -> str:
    """For a help text: the names, and in words what each is."""
    return ", ".join(f"{name} ({row.words})" for name, row in table.items())


def defaults() -> list[str]:
    """The names of which the first whose weights are there is taken, if none is asked for."""
    return [name for name, row in of_photos().items() if row.default]


def _check_exemplars(name: str, needs: Needs) -> None:
    takes = [other for other, row in RESTORERS.items() if row.exemplars]
    if needs.exemplar_dir and name not in takes:
        remedy = Argument("restorer", " or ".join(takes))
        raise UserError(Argument("exemplar_dir"), f": {name} takes no exemplars. Remedy: ", remedy)
    if needs.exemplar_map and not needs.exemplar_dir:
        raise UserError(
            Argument("exemplar_map"), ": names persons of ", Argument("exemplar_dir"), ", which is not given"
        )


def load(name: str, weights: Path | None, needs: Needs) -> Loaded:
    """Import the file of the restorer of this name, and have it read the weights.

    Raises:
      UserError: the weights cannot be used, something that it needs is not given, or exemplars that it does not take.
    """
    _check_exemplars(name, needs)
    return importlib.import_module(RESTORERS[name].module).load(weights, needs)


def check_aligns(argument: str, name: str) -> None:
    """Raise a UserError where the restorer of this name aligns no faces, as the argument supposes."""
    if not RESTORERS[name].aligns:
        first = next(other for other, row in of_photos().items() if row.aligns)
        raise UserError(Argument(argument), f": {name} does not align faces. Remedy: ", Argument("restorer", first))
