"""`metaf2n report`: the page of a folder, made anew from the parts that a run with a report left there."""

from pathlib import Path

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import deciding, experiment_files, results, upscale_options, upscale_report
from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError


def _records(folder: Path, parts: list[Path]) -> dict[Path, dict]:
    """`{part: record}` in the order of the photos; at the end those parts that have no record."""
    records = results.read_results(folder) or {}
    by_part = {upscale_report.part_path(folder, name): records[name.as_posix()] for name in sorted(map(Path, records))}
    known = {part: record for part, record in by_part.items() if part in parts}
    return known | {part: {} for part in parts if part not in known}


def run(folder: Path, output: Path) -> int:
    """Make the page of a folder of results, or of an experiment. Returns the exit code.

    Raises:
      UserError: there is no such folder, or nothing to make it of, or it cannot be written.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    parts = sorted((folder / upscale_report.PARTS).rglob("*.json"))
    if not parts:
        raise UserError(f"{folder}: there is no {upscale_report.PARTS} in it. Remedy: run upscale with --report")
    files.make_folder(output.parent)
    if (folder / experiment_files.JSON).is_file():
        experiment_files.write_page(output, folder)
        cli.say(f"report: {output}")
    else:
        settings = [*deciding.names_on_record(upscale_options.Options), "album"]
        upscale_report.write_page(output, folder, _records(folder, parts), settings)
    return cli.OK
