"""The model that a command's options name."""

from typing import Any

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights.load import choose_weights


def load_model(options: Any, device: str) -> MetaF2N:
    """Load it, and say which weights it has.

    Args:
      options: has model_dir, blend, tile, tile_pad and precision.
      device: "GPU" or "CPU".

    Raises:
      UserError: no usable weights there, or impossible tiles.
    """
    model_dir, why = choose_weights(options.model_dir)
    model = MetaF2N(
        model_dir,
        tile=options.tile,
        tile_pad=options.tile_pad,
        blend=options.blend,
        precision=options.precision,
        xla=runtime.xla_pays(device),
    )
    cli.say(f"weights: {model.weights}{why}")
    return model
