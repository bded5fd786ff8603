"""Each metric against the number of steps, as the change from the unadapted network."""

import io

import numpy as np

from metaf2n_tf.experiment.settings import Sweep
from metaf2n_tf.experiment.summary import Curve
from metaf2n_tf.metrics.measure import METRICS

_COLUMNS = 3
_PANEL = (4.2, 3.2)  # inches
_LETTER, _LEGEND_ROW = 0.075, 0.2  # inches
_DASHES = ("-", "--", ":", "-.")


def draw(sweep: Sweep, curves: dict[str, list[Curve]]) -> bytes:
    """A PNG with a panel a metric and a line a setting.

    Bands are the standard deviation over photos, bars the lowest and the highest of the seeds.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    columns = min(_COLUMNS, len(curves))
    lines = -(-len(curves) // columns)
    width = _PANEL[0] * columns
    names = [sweep.label(curve.setting) for curve in next(iter(curves.values()))]
    names_a_row = max(1, int(width / (0.6 + _LETTER * max(map(len, names)))))
    height = _PANEL[1] * lines + 0.4 + _LEGEND_ROW * -(-len(names) // names_a_row)
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    for panel, (metric, of_metric) in zip(panels, curves.items(), strict=False):
        for index, curve in enumerate(of_metric):
            change = np.where(np.isfinite(curve.change), curve.change, np.nan)  # infinite PSNR is not drawn
            mean, colour, dashes = change.mean(axis=0), f"C{index % 10}", _DASHES[index // 10 % len(_DASHES)]
            if len(curve.values) > 1:
                spread = change.std(axis=0, ddof=1)
                panel.fill_between(sweep.steps, mean - spread, mean + spread, color=colour, alpha=0.12, linewidth=0)
            seeds = np.where(np.isfinite(curve.seed_changes), curve.seed_changes, np.nan)
            bars = np.abs(np.stack([mean - seeds.min(axis=0), seeds.max(axis=0) - mean]))
            style = {"color": colour, "linestyle": dashes, "marker": "o", "markersize": 4, "capsize": 3}
            panel.errorbar(sweep.steps, mean, bars, label=names[index] or None, **style)
        panel.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        unadapted = f"{of_metric[0].mean[0]:.{METRICS[metric].digits}f}"
        panel.set_title(f"{metric}, {METRICS[metric].better} is better\nunadapted {unadapted}", fontsize=9)
        panel.set_xlabel("steps (fine_tune_num)", fontsize=9)
        panel.set_ylabel("change from unadapted", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.spines[["top", "right"]].set_visible(False)
    photos, seeds = (
        max(curve.values.shape[axis] for of_metric in curves.values() for curve in of_metric) for axis in (0, 1)
    )
    figure.suptitle(
        f"{photos} photos, {seeds} seeds. Bands: standard deviation over photos. Bars: lowest to highest seed.",
        fontsize=9,
    )
    handles, labels = panels[0].get_legend_handles_labels()
    if labels:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(names_a_row, len(labels)), fontsize=8, frameon=False
        )
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
