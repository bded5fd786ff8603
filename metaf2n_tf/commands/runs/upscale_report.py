"""The report of `test.py`: a photo's part, once the photo is computed, and the page of all parts of a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.upscale_options import Variant
from metaf2n_tf.data import files, images
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.report import page
from metaf2n_tf.report.photo import LossCurve, PhotoReport, encode_photo
from metaf2n_tf.upscale import photo_views, steps
from metaf2n_tf.upscale.adaptation import Adaptation
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.upscale.photo_views import Reported

REPORT, PARTS = "report.html", "report_parts"


class Finished(NamedTuple):
    """levels: of a result, uint8 or uint16 (h, w, 3); without_faces: had none been pasted, None if none ever is."""

    levels: np.ndarray
    without_faces: np.ndarray | None = None


@dataclass(frozen=True)
class Computed:
    """One photo as it was computed.

    name: its path relative to the folder of photos; pairs: its faces; levels: of each variant, and of no step where
    that is to be shown; record: what is written
    of it.
    """

    name: Path
    photo: images.Photo
    pairs: Sequence[Pair]
    adaptation: Adaptation
    levels: Mapping[Variant, Finished]
    record: dict


def part_path(output_dir: Path, name: Path) -> Path:
    """Where a photo's part of the report lies."""
    return files.fitting(output_dir / PARTS / name.with_suffix(".json"))


def show_photo(computed: Computed, model: MetaF2N, reported: Reported) -> tuple[dict, bytes]:
    """What the report adds to a photo's record, and the photo's part."""
    name, photo, adaptation = computed.name, computed.photo, computed.adaptation
    size = next(iter(computed.levels.values())).levels.shape[:2]
    pictures = {photo_views.BICUBIC: photo_views.bicubic(photo, size)}
    for variant, finished in computed.levels.items():
        label = steps.label(*variant)
        if finished.without_faces is not None:
            pictures[f"{label}, no face pasted"] = images.as_written(finished.without_faces, photo)
        pictures[label] = images.as_written(finished.levels, photo)
    views = photo_views.make_views(pictures, photo_views.read_gt(reported.gts, name, size), reported.measurer)
    metrics = {view.label: view.metrics for view in views if view.metrics}
    added = {"reported": reported.inputs(name), "metrics": metrics}
    curves = {"inner loss": adaptation.losses, "held-out loss": adaptation.held_out_losses}
    losses = [LossCurve(label, values) for label, values in curves.items() if values]
    faces = photo_views.show_faces(model, computed.pairs)
    record = computed.record | added
    return added, encode_photo(PhotoReport(name.as_posix(), photo.size, views, faces, losses, record, record["note"]))


def write_page(output: Path, folder: Path, records: Mapping[Path, dict], settings: Sequence[str]) -> None:
    """Put the parts of a folder into its page.

    Args:
      output: the page.
      folder: of the results.
      records: of the photos that have a part, by path of the part, in the order of the page.
      settings: the keys of records that are settings of the run.
    """
    overview = photo_views.overview(f"MetaF2N: {folder}", list(records.values()), settings)
    page.write_page(output, overview, records)
    cli.say(f"report: {output}")
