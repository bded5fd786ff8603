"""What the report shows of one photo: the same views for `test.py` and for the experiment."""

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from metaf2n_tf.data import images
from metaf2n_tf.errors import Message, UserError
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.metrics.ground_truth import GroundTruths
from metaf2n_tf.metrics.measure import METRICS, Measurer
from metaf2n_tf.metrics.table import summarize
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.report.page import Overview, Reading, Table
from metaf2n_tf.report.photo import FacePair, View
from metaf2n_tf.upscale.model import MetaF2N

logger = logging.getLogger(__name__)

BICUBIC, GT = "LQ, bicubic", "GT"
READING = {name: Reading(metric.better, metric.digits) for name, metric in METRICS.items()}


class Reported:
    """What the report compares with, and what it measures."""

    def __init__(self, gt_dir: Path | None, recursive: bool):
        """List the ground truths, load the metrics' weights, and say which are not there."""
        self.gts = None if gt_dir is None else GroundTruths(gt_dir, recursive)
        self.measurer = Measurer(self.gts is not None)
        for metric, reason in self.measurer.not_computed.items():
            logger.warning(Message(f"the report is without {metric}: ", reason))

    def inputs(self, name: Path) -> dict:
        """What decides a photo's metrics beside its results: the checksum of its ground truth, and their names."""
        return {"gt": self.gts.crc32(name) if self.gts else None, "metrics": self.measurer.names}


def x4(photo: images.Photo) -> tuple[int, int]:
    """(height, width) of the network's picture of a photo."""
    return SCALE * photo.size[0], SCALE * photo.size[1]


def bicubic(photo: images.Photo, size: tuple[int, int]) -> np.ndarray:
    """The photo as OpenCV brings it to (height, width) `size`, uint8 RGB: bicubic, or by areas where that is less."""
    kernel = cv2.INTER_CUBIC if size >= photo.size else cv2.INTER_AREA
    levels = cv2.resize(photo.rgb, size[::-1], interpolation=kernel)
    return images.as_written(images.to_levels(levels), photo)


def read_gt(gts: GroundTruths | None, name: Path, size: tuple[int, int]) -> np.ndarray | None:
    """The ground truth for results of (height, width) `size`; None, and the reason said, where it cannot be used."""
    if gts is None:
        return None
    try:
        return gts.read(name, size)
    except UserError as error:
        logger.warning(Message(f"{name}: not compared: ", error))
        return None


def make_views(pictures: dict[str, np.ndarray], gt: np.ndarray | None, measurer: Measurer) -> list[View]:
    """Views of uint8 pictures, each measured, and the ground truth at the end."""
    views = [View(label, picture, measurer(picture, gt).values) for label, picture in pictures.items()]
    return views if gt is None else [*views, View(GT, gt)]


def show_faces(model: MetaF2N, pairs: Sequence[Pair]) -> list[FacePair]:
    """The faces with MaskNet's weights."""
    return [FacePair(lq, hq, model.weight_map(lq, hq)) for lq, hq in pairs]


def overview(title: str, records: Sequence[dict], settings: Sequence[str]) -> Overview:
    """What the report says of a whole run: which of these settings all have in common, counts, and the mean of each
    metric for each view."""
    common = {}
    for name in settings:
        values = [record[name] for record in records if name in record]
        if values and values == [values[0]] * len(records):
            common[name] = values[0]
    adapted = sum(bool(record.get("adapted")) for record in records)
    lines = [f"photos: {len(records)}, adapted to their faces: {adapted}"]
    return Overview(title, common, lines, tables=_mean_table(records), metrics=READING)


def _mean_table(records: Sequence[dict]) -> list[Table]:
    """A row a view that every measured photo has, a column a metric that all of these have; none for a single photo."""
    measured = [record["metrics"] for record in records if record.get("metrics")]
    if len(measured) < 2:
        return []
    views = [view for view in measured[0] if all(view in photo for photo in measured)]
    values = {view: [photo[view] for photo in measured] for view in views}
    metrics = [name for name in METRICS if all(name in photo for photos in values.values() for photo in photos)]
    rows = []
    for view in views:  # float() also reads what strict JSON keeps as "Infinity"
        columns = ([float(photo[name]) for photo in values[view]] for name in metrics)
        rows.append([view, *(summarize(column)["mean"] for column in columns)])
    return [Table(f"Means of {len(measured)} photos", ["picture", *metrics], rows)]
