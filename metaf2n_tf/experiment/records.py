"""`measurements.jsonl`: one line a photo, configuration and number of steps, from which an experiment goes on."""

import json
from dataclasses import asdict, astuple
from pathlib import Path

from metaf2n_tf.data import files, strict_json
from metaf2n_tf.data.strict_json import NUMBER, plain
from metaf2n_tf.errors import Argument, UserError, one_line
from metaf2n_tf.experiment.sweep import Configuration
from metaf2n_tf.upscale.steps import Steps
from metaf2n_tf.weights.load import LEARNED

MEASUREMENTS, MADE_WITH = "measurements.jsonl", "made_with.json"
_NAMED = 10  # of what is different
_RECORD = {
    "photo": str,
    "task_lr": (float, LEARNED),
    "patch_size": int,
    "patch_num_per_img": int,
    "seed": int,
    "strength?": float,  # records of earlier versions have none of these three
    "steps_used?": int,
    "held_out_losses?": [NUMBER],
    "steps": (int, str),
    "inputs": [(int, None)],
    "picture": (int, None),
    "faces": int,
    "patches": int,
    "adapted": bool,
    "losses": [NUMBER],
    "mean_weight": (*NUMBER, None),
    "metrics": {str: NUMBER},
    "failed": {str: str},
}

Key = tuple[str, Configuration, Steps]  # photo, configuration, steps


def _order(key: Key) -> tuple:
    photo, configuration, steps = key
    return photo, isinstance(configuration.task_lr, str), astuple(configuration), isinstance(steps, str), steps


class Records:
    """What has been measured so far: `{(photo, configuration, steps): record}`, whole on disk after every `save`."""

    def __init__(self, folder: Path):
        """Read what an earlier run left; lines that are no records do not count."""
        self._path = folder / MEASUREMENTS
        self._records: dict[Key, dict] = {}
        if self._path.is_file():
            for record in strict_json.fitting_lines(self._path, _RECORD):
                named = {name: record[name] for name in Configuration.__dataclass_fields__ if name in record}
                configuration = Configuration(**named)
                self._records[record["photo"], configuration, record["steps"]] = record

    def __getitem__(self, key: Key) -> dict:
        """One record; a KeyError where there is none."""
        return self._records[key]

    def get(self, photo: str, configuration: Configuration, steps: Steps) -> dict | None:
        """One record, or None."""
        return self._records.get((photo, configuration, steps))

    def put(self, photo: str, configuration: Configuration, steps: Steps, values: dict) -> None:
        """Add or replace one.

        Args:
          values: inputs (checksums of what was measured), picture (that of the result, None if it is not kept), faces,
            patches, adapted, steps_used, losses, held_out_losses, mean_weight, metrics (`{name: value}`) and failed
            (`{name: reason}`).
        """
        record = {"photo": photo, **asdict(configuration), "steps": steps, **values}
        self._records[photo, configuration, steps] = plain(record)

    def save(self) -> None:
        """Write all of them, in the order of photos, configurations and steps."""
        lines = [json.dumps(self._records[key], allow_nan=False) + "\n" for key in sorted(self._records, key=_order)]
        files.write_bytes(self._path, "".join(lines).encode())


def check_made_with(folder: Path, made_with: dict) -> None:
    """Note what all measurements of a folder have in common; refuse to add others to them.

    Raises:
      UserError: earlier measurements were made with something else.
    """
    path = folder / MADE_WITH
    made_with = plain(made_with)
    if path.is_file() and (folder / MEASUREMENTS).is_file():
        try:
            earlier = strict_json.read(path, {str: object})
        except (OSError, ValueError):
            raise UserError(
                f"{path}: not readable. Remedy: ", Argument("overwrite"), ", or another ", Argument("output_dir")
            ) from None
        names = sorted(set(made_with) | set(earlier))
        different = [name for name in names if made_with.get(name) != earlier.get(name)]
        if different:
            changes = ", ".join(
                one_line(f"{name} {earlier.get(name)} (now {made_with.get(name)})") for name in different[:_NAMED]
            )
            raise UserError(
                Argument("output_dir", folder),
                f": its measurements were made with {changes}. Remedy: another ",
                Argument("output_dir"),
                ", or ",
                Argument("overwrite"),
            )
    files.write_bytes(path, (json.dumps(made_with, indent=1) + "\n").encode())
