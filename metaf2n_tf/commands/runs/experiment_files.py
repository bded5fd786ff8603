"""The files of an experiment: CSV of all measurements, JSON of the means, plot, report."""

import glob
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.upscale_report import PARTS, REPORT
from metaf2n_tf.data import files, strict_json
from metaf2n_tf.errors import UserError
from metaf2n_tf.experiment import plot, summary
from metaf2n_tf.experiment.records import MEASUREMENTS, Records
from metaf2n_tf.experiment.sweep import Configuration, Sweep
from metaf2n_tf.metrics.measure import METRICS
from metaf2n_tf.metrics.table import format_value, to_csv, to_json
from metaf2n_tf.report import page
from metaf2n_tf.upscale.photo_views import READING
from metaf2n_tf.upscale.steps import is_auto
from metaf2n_tf.weights.load import LEARNED

CSV, JSON, PLOT = "experiment.csv", "experiment.json", "experiment.png"
_CONTENT = {
    "photos": [str],
    "made_with": {str: object},
    "seeds": [int],
    "means": [
        {
            "task_lr": (float, LEARNED),
            "patch_size": int,
            "patch_num_per_img": int,
            "strength": float,
            "steps": (int, str),
        }
    ],
}
_COLUMNS = ["photo", *Configuration.__dataclass_fields__, "steps", "faces", "patches", "adapted", "mean_weight"]


def _measurements(photos: Sequence[str], sweep: Sweep, records: Records) -> bytes:
    found = [records[photo, s, n] for photo in photos for s in sweep.configurations for n in sweep.steps]
    metrics = [name for name in METRICS if any(name in record["metrics"] for record in found)]
    rows = []
    for record in found:
        steps = record.get("steps_used", 0) if is_auto(record["steps"]) else record["steps"]
        loss = {"loss": record["losses"][steps]} if len(record["losses"]) > steps else {}
        rows.append({name: record.get(name) for name in _COLUMNS} | loss | record["metrics"])
    return to_csv([*_COLUMNS, "loss", *metrics], rows)


def _table(means: list[dict], sweep: Sweep) -> page.Table:
    metrics = list(means[0]["metrics"])
    by_label = {summary.row_label(row, sweep): row["metrics"] for row in means}
    counts = {row["metrics"][metric]["count"] for row in means for metric in metrics}
    title = f"Means: photos {'/'.join(map(str, sorted(counts)))}, seeds {len(sweep.seeds)}"
    rows = [[label, *(values[metric]["mean"] for metric in metrics)] for label, values in by_label.items()]
    return page.Table(title, ["setting", *metrics], rows)


def _format(means: list[dict], sweep: Sweep) -> str:
    """The same for the terminal."""
    metrics, labels = list(means[0]["metrics"]), [summary.row_label(row, sweep) for row in means]
    width = max(map(len, labels)) + 2
    lines = [" " * width + "".join(f"{metric:>18}" for metric in metrics)]
    for label, row in dict(zip(labels, means, strict=True)).items():
        cells = (format_value(metric, row["metrics"][metric]["mean"]) for metric in metrics)
        lines.append(f"{label:{width}}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def _part_stem(name: Path) -> str:
    """How the names of a photo's parts begin; a checksum follows."""
    return files.fitting(Path(f"{name.stem}.json"), reserve=len(".00000000")).stem


def part_path(folder: Path, name: Path, sweep: Sweep, records: Records) -> Path:
    """Where a photo's part of the report lies, by what it shows."""
    shown = [records.get(name.as_posix(), s, n) for s in sweep.configurations for n in sweep.steps]
    crc = zlib.crc32(json.dumps(shown, sort_keys=True).encode())
    return folder / PARTS / name.with_name(f"{_part_stem(name)}.{crc:08x}.json")


def write_part(path: Path, name: Path, part: bytes) -> None:
    """Write a photo's part to its `part_path`, in the place of earlier ones."""
    files.make_folder(path.parent)
    for old in path.parent.glob(f"{glob.escape(_part_stem(name))}.????????.json"):
        files.remove(old)
    files.write_bytes(path, part)


@dataclass(frozen=True)
class _Findings:
    """What photos show: `summary.curves`, its rows, the best of them, and that in words."""

    curves: dict[str, list[summary.Curve]]
    means: list[dict]
    best: dict[str, dict]
    sentences: list[str]


def _find(photos: Sequence[str], sweep: Sweep, records: Records) -> _Findings:
    curves = summary.curves(photos, sweep, records)
    means = summary.rows(sweep, curves)
    best = summary.best(means)
    return _Findings(curves, means, best, [summary.sentence(metric, row, sweep) for metric, row in best.items()])


def _overview(folder: Path, sweep: Sweep, made_with: dict, found: _Findings) -> page.Overview:
    tables, pictures = [], []
    if found.curves:
        tables = [_table(found.means, sweep)]
        pictures = [("Change from the unadapted network, by number of steps", plot.draw(sweep, found.curves))]
    title = f"fine_tune_num experiment: {folder}"
    return page.Overview(title, made_with, found.sentences, pictures, tables, READING)


def write_page(output: Path, folder: Path) -> None:
    """Make the page of an experiment anew from what lies in its folder.

    Raises:
      UserError: something of it is damaged or gone.
    """
    path = folder / JSON
    try:
        content = strict_json.loads(path.read_bytes(), _CONTENT)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}. Remedy: run the experiment again") from None
    axes = {
        axis: list(dict.fromkeys(row[axis] for row in content["means"]))
        for axis in ("task_lr", "patch_size", "patch_num_per_img", "steps", "strength")
    }
    sweep, records = Sweep(seeds=content["seeds"], **axes), Records(folder)
    tried = [(s, n) for s in sweep.configurations for n in sweep.steps]
    if any(records.get(photo, *one) is None for photo in content["photos"] for one in tried):
        raise UserError(f"{folder / MEASUREMENTS}: lacks some of {JSON}. Remedy: run the experiment again")
    parts = [part_path(folder, Path(photo), sweep, records) for photo in content["photos"]]
    overview = _overview(folder, sweep, content["made_with"], _find(content["photos"], sweep, records))
    page.write_page(output, overview, parts)


def write(
    folder: Path, photos: Sequence[str], sweep: Sweep, records: Records, made_with: dict, report: list[Path] | None
) -> bool:
    """Write and print what these photos show; `report` are its parts, None for no report.

    Returns:
      Whether any metric could be computed; said where not.
    """
    found = _find(photos, sweep, records)
    files.write_bytes(folder / CSV, _measurements(photos, sweep, records))
    content = {"photos": list(photos), "made_with": made_with, "seeds": sweep.seeds}
    files.write_bytes(folder / JSON, to_json(content | {"means": found.means, "best": found.best}))
    overview = _overview(folder, sweep, made_with, found)
    if found.curves:
        files.write_bytes(folder / PLOT, plot.draw(sweep, found.curves))
        print("\n".join([_format(found.means, sweep), *found.sentences]))
    else:
        cli.say(
            "no metric could be computed in every setting of any photo, see the column `failed` of measurements.jsonl"
        )
    if report is not None:
        page.write_page(folder / REPORT, overview, report)
    names = [CSV, JSON, *([PLOT] if found.curves else []), *([] if report is None else [REPORT])]
    cli.say(f"{', '.join(names)} are in {folder}")
    return bool(found.curves)
