"""`OUTPUT/results.jsonl`: one line a photo with what was done to it, always whole."""

import json
from pathlib import Path

from metaf2n_tf.data import files

NAME = "results.jsonl"


def read_results(output_dir: Path) -> dict[str, dict]:
    """`{photo: record}` of earlier runs; lines that are not records are left out."""
    path = output_dir / NAME
    records = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
            records[record["photo"]] = record
        except (ValueError, KeyError, TypeError):
            continue
    return records


def write_results(output_dir: Path, records: dict[str, dict]) -> None:
    """Write all records, in the order of the photos' names."""
    lines = [json.dumps(records[photo]) + "\n" for photo in sorted(records)]
    files.write_bytes(output_dir / NAME, "".join(lines).encode())
