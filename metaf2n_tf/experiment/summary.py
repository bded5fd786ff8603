"""What an experiment shows: means over photos and seeds, the change from the unadapted network, what is best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaf2n_tf.experiment.records import Records
from metaf2n_tf.experiment.sweep import Configuration, Sweep
from metaf2n_tf.metrics.measure import METRICS
from metaf2n_tf.metrics.table import summarize


def _difference(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """values - others, 0 where both are infinite."""
    with np.errstate(invalid="ignore"):
        difference = values - others
    return np.where(np.isnan(difference), 0.0, difference)


@dataclass(frozen=True)
class Curve:
    """A metric of one configuration against the number of steps.

    configuration: with the first of the seeds; values: float64 (photos, seeds, steps).
    """

    configuration: Configuration
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(steps,) over photos and seeds."""
        return self.values.mean(axis=(0, 1))

    @property
    def change(self) -> np.ndarray:
        """(photos, steps) from the unadapted network, means over seeds."""
        by_photo = self.values.mean(axis=1)
        return _difference(by_photo, by_photo[:, :1])

    @property
    def seed_changes(self) -> np.ndarray:
        """(seeds, steps): the mean change over photos, for each seed."""
        return _difference(self.values, self.values[..., :1]).mean(axis=0)


def curves(photos: Sequence[str], sweep: Sweep, records: Records) -> dict[str, list[Curve]]:
    """`{metric: a curve a configuration}`, of the photos that have the metric everywhere; others are left out."""
    found = {}
    for metric in METRICS:
        table = []
        for photo in photos:
            rows = [[records[photo, s, n]["metrics"].get(metric) for n in sweep.steps] for s in sweep.configurations]
            if all(value is not None for row in rows for value in row):
                table.append([[float(value) for value in row] for row in rows])
        if table:
            values = np.array(table).reshape(len(table), -1, len(sweep.seeds), len(sweep.steps))
            first_seeds = sweep.configurations[:: len(sweep.seeds)]
            found[metric] = [Curve(configuration, values[:, index]) for index, configuration in enumerate(first_seeds)]
    return found


def rows(sweep: Sweep, found: dict[str, list[Curve]]) -> list[dict]:
    """A dict a configuration and number of steps: these, and for each metric mean, error and change from unadapted."""
    result = []
    for index, configuration in enumerate(sweep.configurations[:: len(sweep.seeds)]):
        for column, steps in enumerate(sweep.steps):
            row = {
                "task_lr": configuration.task_lr,
                "patch_size": configuration.patch_size,
                "patch_num_per_img": configuration.patch_num_per_img,
                "strength": configuration.strength,
                "steps": steps,
                "metrics": {},
            }
            for metric, of_metric in found.items():
                curve = of_metric[index]
                change = summarize(curve.change[:, column].tolist())
                row["metrics"][metric] = summarize(curve.values[:, :, column].mean(axis=1).tolist()) | {
                    "change": change["mean"],
                    "change_standard_error": change["standard_error"],
                    "change_of_each_seed": [
                        change if np.isfinite(change) else None for change in curve.seed_changes[:, column].tolist()
                    ],
                }
            result.append(row)
    return result


def best(summary: list[dict]) -> dict[str, dict]:
    """`{metric: its best row}`; of equal ones the first, so that with the fewest steps of the first configuration."""
    result = {}
    for metric in summary[0]["metrics"]:
        sign = -1 if METRICS[metric].better == "higher" else 1
        result[metric] = min(summary, key=lambda row: sign * _rank(row["metrics"][metric]))
    return result


def _rank(values: dict) -> float:
    """The mean; infinite where all pictures are identical to their ground truths."""
    return np.inf if values["mean"] is None else values["mean"]


def row_label(row: dict, sweep: Sweep) -> str:
    """What a row of `rows` is called."""
    patches = row["patch_size"], row["patch_num_per_img"]
    configuration = Configuration(row["task_lr"], *patches, sweep.seeds[0], row["strength"])
    return sweep.label_after(configuration, row["steps"])


def sentence(metric: str, row: dict, sweep: Sweep) -> str:
    """The best configuration in words, with what it gains and how sure that is."""
    values, digits = row["metrics"][metric], METRICS[metric].digits
    photos = "1 photo" if values["count"] == 1 else f"{values['count']} photos"
    what = f"best {metric}: {'identical' if values['mean'] is None else format(values['mean'], f'.{digits}f')}"
    if row["steps"] == 0:
        return f"{what}, unadapted ({photos})"
    change, error = values["change"], values["change_standard_error"]
    if change is None:
        return f"{what} with {row_label(row, sweep)} ({photos})"
    sure = "" if error is None else f", standard error {error:.3g}"
    if error is not None and abs(change) < 2 * error:
        sure += ", so it may be chance"
    return f"{what} with {row_label(row, sweep)}: {change:+.3g} from unadapted ({photos}{sure})"
