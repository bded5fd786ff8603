"""Metrics as people and programs read them: a table on the terminal, CSV by picture, JSON of the means."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence

from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.metrics.measure import METRICS


def summarize(values: Sequence[float]) -> dict[str, float | int | None]:
    """`mean` of the finite values (None where there is none), its `standard_error` (None of fewer than two), `count` of
    all; and `identical`, how many are infinite, as the PSNR of equal pictures is, where any are.
    """
    finite = [value for value in values if math.isfinite(value)]
    number, error = len(finite), None
    mean = sum(finite) / number if number else math.nan
    if number > 1:
        error = math.sqrt(sum((value - mean) ** 2 for value in finite) / (number - 1) / number)
    summary = {"mean": mean if number else None, "standard_error": error, "count": len(values)}
    return summary if number == len(values) else summary | {"identical": len(values) - number}


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
        metric, apart = METRICS[name], summary.get("identical")
        what = f"{metric.title}; {metric.better} is better" + (f"; {apart} identical, not in the mean" if apart else "")
        lines.append(f"{name:18}{mean:>12}{error:>12}{summary['count']:>10}  {what}")
    return "\n".join(lines)
