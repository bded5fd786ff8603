"""The SR networks that MetaF2N can adapt: one table, and the variables of a file say which of them they are.

A third network is one file beside this one and one row of `NETWORKS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from metaf2n_tf.networks import context_srvgg, rrdbnet, srvgg

SCOPE = "MODEL"  # of every SR network's variables, as published
SCALE = 4

Params = Mapping[str, tf.Tensor]
Shapes = Mapping[str, tuple[int, ...]]
Block = Callable[..., tf.Tensor]  # of features and the block's variables, in order
Forward = Callable[[Params, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class SRNetwork:
    """A network, (N, H, W, 3) to (N, 4H, 4W, 3).

    telltale: a variable that only this network has; shapes_like: the shapes it must have, read off those of a file
    (ValueError: another scale, or another network); forward: of params, images and `run_block`, which computes the
    block that the network repeats; block: that block; graph_block: what runs fastest in a graph; xla_block: compiled
    by XLA on its own, None where that does not pay; title: the network in words; receptive_field: LQ pixels around a
    place that matter to it; shapes_of_layers: its shapes if it is made of convolutions with so many outputs each, in
    order, and of so many PReLUs, else None; plain_task_lr: the inner loop's rate where no meta-training made another;
    unit: a part of a picture gives the same as the whole only if it starts at a multiple of so many LQ pixels.
    """

    telltale: str
    shapes_like: Callable[[Shapes], dict[str, tuple[int, ...]]]
    forward: Callable[..., tf.Tensor]
    block: Block
    graph_block: Block
    xla_block: Block | None
    title: Callable[[Shapes], str]
    receptive_field: Callable[[Mapping[str, object]], int]
    shapes_of_layers: Callable[[list[int], int], dict[str, tuple[int, ...]] | None]
    plain_task_lr: float
    unit: Callable[[Mapping[str, object]], int] = lambda names: 1


def _rrdbnet_shapes(found: Shapes) -> dict[str, tuple[int, ...]]:
    first, grown = (f"{SCOPE}/{name}/bias" for name in ("conv_first", "body/0/rdb1/conv1"))
    for name in (first, grown):
        if len(found.get(name, ())) != 1:
            raise ValueError(f"variable {name} is missing, so this is not an RRDBNet of MetaF2N")
    inputs = found.get(f"{SCOPE}/conv_first/weight", (0, 0, 3, 0))
    if len(inputs) == 4 and inputs[2] in (12, 48):
        raise ValueError(f"an RRDBNet of scale {4 // round((inputs[2] // 3) ** 0.5)}, and only x{SCALE} can be used")
    blocks = {name.split("/")[2] for name in found if name.startswith(f"{SCOPE}/body/")}
    return rrdbnet.variable_shapes(len(blocks), found[first][0], found[grown][0])


def _rrdbnet_of_layers(outputs: list[int], slopes: int) -> dict[str, tuple[int, ...]] | None:
    num_block, rest = divmod(len(outputs) - 6, 15)
    return None if slopes or rest or num_block < 1 else rrdbnet.variable_shapes(num_block, outputs[0], outputs[1])


def _srvgg_of_layers(outputs: list[int], slopes: int) -> dict[str, tuple[int, ...]] | None:
    return srvgg.variable_shapes(slopes - 1, outputs[0]) if slopes and len(outputs) == slopes + 1 else None


def _srvgg_shapes(found: Shapes) -> dict[str, tuple[int, ...]]:
    first, count = f"{SCOPE}/body/0/bias", srvgg.count_convs(found)
    if len(found.get(first, ())) != 1:
        raise ValueError(f"variable {first} is missing, so this is not an SRVGGNetCompact")
    out = found.get(f"{SCOPE}/body/{2 * count + 2}/bias", (3 * SCALE**2,))
    scale = round((out[0] / 3) ** 0.5) if len(out) == 1 else SCALE
    if scale != SCALE and 3 * scale**2 == out[0]:
        raise ValueError(f"an SRVGGNetCompact of scale {scale}, and only x{SCALE} can be used")
    return srvgg.variable_shapes(count, found[first][0])


def _context_shapes(found: Shapes) -> dict[str, tuple[int, ...]]:
    compact = _srvgg_shapes(found)
    count = len({name.split("/")[2] for name in found if name.startswith(f"{context_srvgg.SCOPE}/down")})
    biases = [found.get(f"{context_srvgg.SCOPE}/down{level}/bias", ()) for level in range(count)]
    if any(len(bias) != 1 for bias in biases):
        raise ValueError(f"variables {context_srvgg.SCOPE}/downN/bias are missing or damaged")
    widths = tuple(bias[0] for bias in biases)
    return context_srvgg.variable_shapes(srvgg.count_convs(found), compact[f"{SCOPE}/body/0/bias"][0], widths)


def _srvgg_title(shapes: Shapes) -> str:
    return f"SRVGGNetCompact of {srvgg.count_convs(shapes)} convolutions, {shapes[f'{SCOPE}/body/0/bias'][0]} wide"


def _rrdbnet_title(shapes: Shapes) -> str:
    return f"RRDBNet of {rrdbnet.count_blocks(shapes)} blocks, {shapes[f'{SCOPE}/conv_first/bias'][0]} wide"


NETWORKS = (
    SRNetwork(
        telltale=f"{SCOPE}/conv_first/weight",
        shapes_like=_rrdbnet_shapes,
        forward=rrdbnet.forward,
        block=rrdbnet.block,
        graph_block=rrdbnet.BLOCK,
        xla_block=rrdbnet.XLA_BLOCK,
        title=_rrdbnet_title,
        receptive_field=lambda _: 40,  # of some 350 in theory: 50 dB and more against the whole picture, measured
        shapes_of_layers=_rrdbnet_of_layers,
        plain_task_lr=1e-3,
    ),
    SRNetwork(
        telltale=f"{context_srvgg.SCOPE}/down0/weight",
        shapes_like=_context_shapes,
        forward=context_srvgg.forward,
        block=srvgg.block,
        graph_block=srvgg.block,
        xla_block=None,
        title=lambda shapes: f"{_srvgg_title(shapes)}, with a context branch",
        receptive_field=lambda names: srvgg.count_convs(names) + 2 + 7 * (2 ** context_srvgg.count_levels(names) - 1),
        shapes_of_layers=lambda outputs, slopes: None,
        plain_task_lr=1e-2,
        unit=lambda names: 2 ** context_srvgg.count_levels(names),
    ),
    SRNetwork(
        telltale=f"{SCOPE}/body/1/weight",
        shapes_like=_srvgg_shapes,
        forward=srvgg.forward,
        block=srvgg.block,
        graph_block=srvgg.block,
        xla_block=None,
        title=_srvgg_title,
        receptive_field=lambda names: srvgg.count_convs(names) + 2,
        shapes_of_layers=_srvgg_of_layers,
        plain_task_lr=1e-2,
    ),
)


def network_of(names: Mapping[str, object]) -> SRNetwork:
    """The network that variables of these names belong to.

    Raises:
      ValueError: none that we know.
    """
    for network in NETWORKS:
        if network.telltale in names:
            return network
    telltales = " or ".join(network.telltale for network in NETWORKS)
    raise ValueError(f"variable {telltales} is missing, so this is no SR network that is known here")


def receptive_field(params: Mapping[str, object]) -> int:
    """LQ pixels around a place that matter to the network that the params are of."""
    return network_of(params).receptive_field(params)


def unit(params: Mapping[str, object]) -> int:
    """LQ pixels at whose multiples a part of a picture must start, for the network that the params are of."""
    return network_of(params).unit(params)


def forward(params: Params, images: tf.Tensor) -> tf.Tensor:
    """Super-resolve a batch x4 with the network that the params are of; see its own `forward`."""
    network = network_of(params)
    return network.forward(params, images, network.graph_block)
