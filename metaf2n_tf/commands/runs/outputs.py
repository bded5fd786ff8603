"""The files of an experiment: CSV of all measurements, JSON of the means, plot, report."""

from collections.abc import Sequence
from pathlib import Path

from metaf2n_tf.commands import cli
from metaf2n_tf.data import files
from metaf2n_tf.experiment import plot, summary
from metaf2n_tf.experiment.records import Records
from metaf2n_tf.experiment.sweep import Configuration, Sweep
from metaf2n_tf.metrics.measure import METRICS
from metaf2n_tf.metrics.table import format_value, to_csv, to_json
from metaf2n_tf.report import page
from metaf2n_tf.upscale.photo_views import READING
from metaf2n_tf.upscale.steps import is_auto

CSV, JSON, PLOT, REPORT = "experiment.csv", "experiment.json", "experiment.png", "report.html"
_COLUMNS = ["photo", *Configuration.__dataclass_fields__, "steps", "faces", "patches", "adapted", "mean_weight"]


def _measurements(photos: Sequence[str], sweep: Sweep, records: Records) -> bytes:
    found = [records.get(photo, s, n) for photo in photos for s in sweep.configurations for n in sweep.steps]
    metrics = [name for name in METRICS if any(name in record["metrics"] for record in found)]
    rows = []
    for record in found:
        steps = record.get("steps_used") if is_auto(record["steps"]) else record["steps"]
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


def write(
    folder: Path, photos: Sequence[str], sweep: Sweep, records: Records, made_with: dict, report: list[Path] | None
) -> bool:
    """Write and print what these photos show; `report` are its parts, None for no report.

    Returns:
      Whether any metric could be computed; said where not.
    """
    found = summary.curves(photos, sweep, records)
    means = summary.rows(sweep, found)
    best = summary.best(means)
    sentences = [summary.sentence(metric, row, sweep) for metric, row in best.items()]
    files.write_bytes(folder / CSV, _measurements(photos, sweep, records))
    content = {"photos": list(photos), "made_with": made_with, "seeds": sweep.seeds, "means": means, "best": best}
    files.write_bytes(folder / JSON, to_json(content))
    tables, pictures = [], []
    if found:
        tables = [_table(means, sweep)]
        pictures = [("Change from the unadapted network, by number of steps", plot.draw(sweep, found))]
        files.write_bytes(folder / PLOT, pictures[0][1])
        print("\n".join([_format(means, sweep), *sentences]))
    else:
        cli.say(
            "no metric could be computed in every setting of any photo, see the column `failed` of measurements.jsonl"
        )
    if report is not None:
        title = f"fine_tune_num experiment: {folder}"
        overview = page.Overview(title, made_with, sentences, pictures, tables, READING)
        page.write_page(folder / REPORT, overview, report)
    names = [CSV, JSON, *([PLOT] if found else []), *([] if report is None else [REPORT])]
    cli.say(f"{', '.join(names)} are in {folder}")
    return bool(found)
