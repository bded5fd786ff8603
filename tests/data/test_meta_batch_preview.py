"""The picture of a meta-batch shows every tensor of every pair."""

import numpy as np
import tensorflow as tf

from metaf2n_tf.data import meta_batch_preview
from metaf2n_tf.data.meta_batches import MetaBatch


def test_every_picture_is_there_once():
    shapes = {"inputa": 4, "labela": 16, "inputb": 8, "labelb": 32, "labela_gt": 16, "labelb_nousm": 32}
    levels = iter(range(10, 250, 2))
    fields = {}
    for name, side in shapes.items():
        values = np.array([[next(levels) for _ in range(2)] for _ in range(3)], np.float32)
        fields[name] = tf.constant(np.broadcast_to(values[..., None, None, None] / 255, (3, 2, side, side, 3)))
    picture = meta_batch_preview.draw(MetaBatch(**fields))
    for name in shapes:
        for value in np.unique(np.round(fields[name].numpy() * 255)):
            assert (picture == value).all(axis=-1).sum() >= 32 * 32, name
    assert picture.shape[1] == 2 * 6 * (32 + 4)
