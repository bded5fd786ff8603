"""The restorer of whole batches of aligned LQ faces, a function of tensors: what meta-batches are made with."""

from collections.abc import Callable, Mapping
from pathlib import Path

from metaf2n_tf.data.meta_batches import BatchRestorer
from metaf2n_tf.faces import restorers
from metaf2n_tf.faces.registry import choose


def make_restorer(
    name: str,
    side: int,
    *,
    sr: Callable[[], Mapping] | None = None,
    exemplar_dir: Path | None = None,
) -> BatchRestorer:
    """The restorer of that name; none ever takes another one's place.

    Args:
      name: one of `restorers.of_batches()`, with `:WEIGHTS` for a file of one's own.
      side: of the HQ faces, pixels.
      sr: gives the SR network's params, `{name: array or tensor}`, which self_ensemble restores with.
      exemplar_dir: HQ photos of one person, for a restorer that takes exemplars.

    Returns:
      A function of uint8 (N, s, s, 3) to uint8 (N, 4s, 4s, 3) tensors, or None; see `BatchRestorer`.

    Raises:
      UserError: no such restorer, its weights are not there or for another size, or exemplars it cannot use.
    """
    key, weights, _ = choose("restorer", name, restorers.of_batches(), ())
    return restorers.load(key, weights, restorers.Needs(sr, exemplar_dir)).for_batches(side)
