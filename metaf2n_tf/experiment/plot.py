"""Each metric against the number of steps, as the change from the unadapted network."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metaf2n_tf.experiment.summary import Curve
from metaf2n_tf.experiment.sweep import Sweep
from metaf2n_tf.metrics.measure import METRICS

_COLUMNS = 3
_PANEL = (4.2, 3.2)  # inches
_LETTER, _LEGEND_ROW = 0.075, 0.2  # inches
_MOST_BANDS = 8  # more of them would cover one another
_DASHES = ("-", "--", ":", "-.")


def _finite(values: np.ndarray) -> np.ndarray:
    """The values with NaN, which is not drawn, in place of infinite ones."""
    return np.where(np.isfinite(values), values, np.nan)


def _draw_panel(panel: Axes, metric: str, curves: list[Curve], names: list[str], sweep: Sweep) -> None:
    numbers, count = sweep.numbers, len(sweep.numbers)
    autos = sweep.steps[count:]  # to the right of all numbers, as points of their own
    places = np.array([*numbers, *(1.15 * numbers[-1] + 0.5 for _ in autos)])
    for index, (curve, name) in enumerate(zip(curves, names, strict=True)):
        change, seeds = _finite(curve.change), _finite(curve.seed_changes)
        mean, colour = change.mean(axis=0), f"C{index % 10}"
        if len(change) > 1 and len(curves) <= _MOST_BANDS:
            spread = change.std(axis=0, ddof=1)
            low, high = (mean + sign * spread for sign in (-1, 1))
            panel.fill_between(numbers, low[:count], high[:count], color=colour, alpha=0.12, linewidth=0)
        bars = np.abs(np.stack([mean - seeds.min(axis=0), seeds.max(axis=0) - mean]))
        dashes = _DASHES[index // 10 % len(_DASHES)]
        style: dict[str, Any] = {"linestyle": dashes, "marker": "o", "markersize": 4, "capsize": 3}
        line, alone = slice(count), slice(count, None)
        panel.errorbar(places[line], mean[line], bars[:, line], color=colour, label=name or None, **style)
        if autos:
            panel.errorbar(places[alone], mean[alone], bars[:, alone], color=colour, **dict(style, linestyle="none"))
    panel.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    unadapted = f"{curves[0].mean[0]:.{METRICS[metric].digits}f}"
    panel.set_title(f"{metric}, {METRICS[metric].better} is better\nunadapted {unadapted}", fontsize=9)
    panel.set_xlabel("steps (fine_tune_num)", fontsize=9)
    panel.set_ylabel("change from unadapted", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if autos:
        panel.set_xticks(places, [*map(str, numbers), *("auto" for _ in autos)])
    panel.spines[["top", "right"]].set_visible(False)


def draw(sweep: Sweep, curves: dict[str, list[Curve]]) -> bytes:
    """A PNG with a panel a metric and a line a configuration, of `summary.curves`.

    Bands are the standard deviation over photos (left out where there are many), bars the lowest and the highest of
    the seeds.
    """
    columns = min(_COLUMNS, len(curves))
    lines, width = -(-len(curves) // columns), _PANEL[0] * columns
    names = [sweep.label(curve.configuration) for curve in next(iter(curves.values()))]
    names_a_row = max(1, int(width / (0.6 + _LETTER * max(map(len, names)))))
    height = _PANEL[1] * lines + 0.4 + _LEGEND_ROW * -(-len(names) // names_a_row)
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    for panel, (metric, of_metric) in zip(panels, curves.items(), strict=False):
        _draw_panel(panel, metric, of_metric, names, sweep)
    photos = max(len(curve.values) for of_metric in curves.values() for curve in of_metric)
    bands = "" if len(names) > _MOST_BANDS else " Bands: standard deviation over photos."
    figure.suptitle(f"photos: {photos}, seeds: {len(sweep.seeds)}.{bands} Bars: lowest to highest seed.", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    if labels:
        placed = {"loc": "outside lower center", "ncols": min(names_a_row, len(labels)), "frameon": False}
        figure.legend(handles, labels, fontsize=8, **placed)
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
