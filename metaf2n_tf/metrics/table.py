"""Metrics as people and programs read them: a table on the terminal, CSV by picture, JSON of the means."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence

from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.metrics.measure import METRICS


def summarize(values: Sequence[float]) -> dict[str, float | int | None]:
    """`mean`, `standard_error` of the mean (None where it has none: one picture, or an infinite value) and `count`."""
    count, mean = len(values), sum(values) / len(values)
    if count < 2 or not math.isfinite(mean):
        return {"mean": mean, "standard_error": None, "count": count}
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return {"mean": mean, "standard_error": math.sqrt(variance / count), "count": count}


def to_json(content: object) -> bytes:
    """Indented strict JSON with a line end; see `strict_json.plain` for what has no token there."""
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode(errors="backslashreplace")  # names of files need not be text


def to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> bytes:
    """Comma-separated lines with a header; what a row has not stays empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode(errors="backslashreplace")


def format_value(metric: str, value: float | None) -> str:
    """The value with the digits that suit the metric; "-" for None."""
    return "-" if value is None else f"{value:.{METRICS[metric].digits}f}"


def format_summary(summaries: Mapping[str, Mapping[str, float | int | None]]) -> str:
    """A line a metric: mean, standard error, number of pictures, what it is and which way is better."""
    lines = [f"{'metric':18}{'mean':>12}{'std. error':>12}{'pictures':>10}"]
    for name, summary in summaries.items():
        mean, error = (format_value(name, summary[key]) for key in ("mean", "standard_error"))
        metric = METRICS[name]
        lines.append(f"{name:18}{mean:>12}{error:>12}{summary['count']:>10}  {metric.title}; {metric.better} is better")
    return "\n".join(lines)
