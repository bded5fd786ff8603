"""`OUTPUT/results.jsonl`: one line a photo with what was done to it, always whole."""

import json
from pathlib import Path

from metaf2n_tf.data import files, strict_json
from metaf2n_tf.data.strict_json import NUMBER, plain

NAME = "results.jsonl"

# What is calculated with; everything else of a record is compared or shown, whatever it is.
_RECORD = {"photo": str, "metrics?": {str: {str: NUMBER}}}


def read_results(output_dir: Path) -> dict[str, dict] | None:
    """`{photo: record}` of earlier runs, without lines that are no records; None where there is no such file."""
    path = output_dir / NAME
    if not path.is_file():
        return None
    return {record["photo"]: record for record in strict_json.fitting_lines(path, _RECORD)}


def write_results(output_dir: Path, records: dict[str, dict]) -> None:
    """Write all records, in the order of the photos' names."""
    lines = [json.dumps(plain(records[photo]), allow_nan=False) + "\n" for photo in sorted(records)]
    files.write_bytes(output_dir / NAME, "".join(lines).encode())
