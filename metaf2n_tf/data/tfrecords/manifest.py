"""The `.json` beside a set: what it holds, what it was made of and how, and which of its shards are finished."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from metaf2n_tf.data import files, strict_json
from metaf2n_tf.data.strict_json import NUMBER, plain
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.data.tfrecords.shards import is_of
from metaf2n_tf.errors import Argument, UserError, one_line


@dataclass
class Shard:
    """A finished file of a set. too_small, unusable: `{picture: reason}` of those that gave nothing."""

    file: str
    records: int
    bytes: int
    sha256: str
    too_small: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)

    def is_in(self, folder: Path) -> bool:
        """Whether its file lies there, of the size that it had."""
        path = folder / self.file
        return path.is_file() and path.stat().st_size == self.bytes


@dataclass
class Manifest:
    """A set. sources: `inputs`, how many `pictures` and their digest; num_shards: how many there are to be."""

    cropping: Cropping
    sources: dict[str, object]
    num_shards: int
    shards: list[Shard] = field(default_factory=list)

    def is_of(self, other: "Manifest") -> bool:
        """Whether both are of the same pictures, cut and shared out the same way."""
        mine, others = ((one.cropping, one.sources.get("sha256"), one.num_shards) for one in (self, other))
        return mine == others

    @property
    def count(self) -> int:
        """Records written so far."""
        return sum(shard.records for shard in self.shards)

    @property
    def complete(self) -> bool:
        """Whether every shard is finished."""
        return len(self.shards) == self.num_shards

    def problems(self, kind: str) -> dict[str, str]:
        """`too_small` or `unusable` pictures of all shards."""
        return {name: reason for shard in self.shards for name, reason in getattr(shard, kind).items()}


def place(tfrecord: Path) -> Path:
    """`back400.json` for `back400.tfrecord`."""
    return tfrecord.with_suffix(".json")


def write(tfrecord: Path, manifest: Manifest) -> None:
    """Write it beside its set, whole."""
    size = manifest.cropping.size
    content = {
        "complete": manifest.complete,
        "count": manifest.count,
        "shape": [size, size, 3],
        "feature": "label: raw uint8 RGB, row by row"
        + ("; parsing: the same" if manifest.cropping.parsing_dir else ""),
        "sources": manifest.sources,
        "settings": dataclasses.asdict(manifest.cropping) | {"num_shards": manifest.num_shards},
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    files.write_bytes(place(tfrecord), json.dumps(plain(content), indent=1, allow_nan=False).encode())


_PROBLEMS = {str: str}
_CONTENT = {
    "sources": {"inputs": [str], "pictures": int, "sha256": str},
    "settings": {
        "size": int,
        "stride?": int,
        "min_gradient?": (*NUMBER, None),
        "multiscale?": bool,
        "parsing_dir?": (str, None),
        "num_shards": int,
    },
    "shards": [
        {"file": str, "records": int, "bytes": int, "sha256": str, "too_small?": _PROBLEMS, "unusable?": _PROBLEMS}
    ],
}


def read(tfrecord: Path) -> Manifest | None:
    """The manifest of a set, None if there is none.

    Raises:
      UserError: it is damaged.
    """
    path = place(tfrecord)
    try:
        content = strict_json.read(path, _CONTENT)
        settings = content["settings"]
        if settings.get("min_gradient") is not None:
            settings["min_gradient"] = float(settings["min_gradient"])
        num_shards = settings.pop("num_shards")
        shards = [Shard(**shard) for shard in content["shards"]]
        foreign = [shard.file for shard in shards if not is_of(Path(shard.file), tfrecord) or "/" in shard.file]
        if foreign:
            raise ValueError(f"{foreign[0]!r} is no file of the set")
        return Manifest(Cropping(**settings), content["sources"], num_shards, shards)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:  # TypeError: a setting of another version
        reason = one_line(str(error))
        raise UserError(f"{path}: not the description of a set ({reason}). Remedy: ", Argument("overwrite")) from None
