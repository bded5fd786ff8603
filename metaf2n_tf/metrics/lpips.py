"""LPIPS as a function of two pictures, called like the package lpips-tensorflow, which MetaF2N trains with.

`networks/lpips.py` is the same with the weights as an argument.
"""

import functools
from pathlib import Path

import tensorflow as tf

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import alexnet
from metaf2n_tf.networks.lpips import distance
from metaf2n_tf.weights.lpips import WEIGHTS, load_lpips


@functools.cache
def _load_once(path: Path) -> dict[str, tf.Tensor]:
    with tf.init_scope():  # outside of any function that is being traced, so that every function can use them
        return {name: tf.constant(value) for name, value in load_lpips(path).items()}


def check_shapes(first: tf.TensorShape, second: tf.TensorShape) -> None:
    """Raise a UserError for pictures that cannot be compared, as far as their shapes are known."""
    if not first.is_compatible_with(second):
        raise UserError(f"LPIPS: the pictures' shapes differ: {first} and {second}")
    shape = first.merge_with(second)
    if shape.rank is None:
        return
    if shape.rank < 3 or shape[-1] not in (3, None):
        raise UserError(f"LPIPS: pictures of shape {shape}, expected (..., height, width, 3)")
    if any(side is not None and side < alexnet.MIN_SIDE for side in shape[-3:-1]):
        size = f"{shape[-2]}x{shape[-3]}"
        raise UserError(f"LPIPS: pictures of {size} pixels are too small, AlexNet needs sides of {alexnet.MIN_SIDE}")


def lpips(
    input0: tf.Tensor, input1: tf.Tensor, model: str = "net-lin", net: str = "alex", version: float = 0.1
) -> tf.Tensor:
    """Compare pictures, called as in the package lpips-tensorflow; works inside `tf.function` too.

    Args:
      input0, input1: floating point (..., H, W, 3) with any number of leading dimensions, RGB in [0, 1];
        sides of at least `alexnet.MIN_SIDE` pixels.
      model, net, version: only "net-lin", "alex" and 0.1 are there.

    Returns:
      float32 of the leading dimensions' shape. The weights are read from `weights/lpips-alex.npz`, once.

    Raises:
      UserError: no or damaged weights, another model, shapes that differ, pictures that are too small (where their
        size is known when this is called or traced) or not floating point.
    """
    if (model, net, float(version)) != ("net-lin", "alex", 0.1):
        asked = f"model={model!r}, net={net!r}, version={version}"
        raise UserError(f"LPIPS: {asked} is not there, only model='net-lin', net='alex', version=0.1")
    input0, input1 = tf.convert_to_tensor(input0), tf.convert_to_tensor(input1)
    for x in (input0, input1):
        if not x.dtype.is_floating:
            raise UserError(f"LPIPS: pictures of {x.dtype.name}, expected floating point in [0, 1]")
    check_shapes(input0.shape, input1.shape)
    leading = tf.shape(input0)[:-3]
    first, second = (tf.reshape(x, tf.concat([[-1], tf.shape(x)[-3:]], axis=0)) for x in (input0, input1))
    result = tf.reshape(distance(_load_once(Path(WEIGHTS).absolute()), first, second), leading)
    return tf.ensure_shape(result, input0.shape[:-3])
