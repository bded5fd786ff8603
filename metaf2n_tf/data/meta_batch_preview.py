"""A meta-batch as one picture: every tensor of every pair, labelled, all enlarged to one size, pixel by pixel."""

import cv2
import numpy as np

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.data.meta_batches import MetaBatch

_ORDER = ("inputa", "labela", "labela_gt", "inputb", "labelb", "labelb_nousm")
_GAP, _TITLE_HEIGHT = 4, 24


def _titled(text: str, width: int) -> np.ndarray:
    bar = np.full((_TITLE_HEIGHT, width, 3), 255, np.uint8)
    cv2.putText(bar, text, (2, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return bar


def draw(batch: MetaBatch) -> np.ndarray:
    """uint8 (H, W, 3) RGB: a block a task, two blocks side by side, a row a pair."""
    levels = {name: to_levels(getattr(batch, name).numpy()) for name in _ORDER}
    side = max(pictures.shape[2] for pictures in levels.values())
    columns = []
    for pictures in levels.values():
        nearest = np.arange(side) * pictures.shape[2] // side
        pictures = pictures[:, :, nearest][:, :, :, nearest]
        columns.append(np.pad(pictures, ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255))
    titles = np.hstack([_titled(name, column.shape[3]) for name, column in zip(_ORDER, columns, strict=True)])
    blocks = []
    for task, pairs in enumerate(zip(*columns, strict=True)):
        rows = [np.hstack(pair) for pair in zip(*pairs, strict=True)]
        blocks.append(np.vstack([_titled(f"task {task}", titles.shape[1]), titles, *rows]))
    if len(blocks) % 2:
        blocks.append(np.full_like(blocks[0], 255))
    return np.vstack([np.hstack(blocks[index : index + 2]) for index in range(0, len(blocks), 2)])
