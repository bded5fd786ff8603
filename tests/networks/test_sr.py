import numpy as np
import pytest
import recipe
import srvgg_weights
import tensorflow as tf
from conftest import make_tiny_sr
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import context_srvgg, rrdbnet, sr, srvgg
from metaf2n_tf.tiles import SuperResolver
from metaf2n_tf.weights import load, npz

TINY = {
    "rrdbnet": make_tiny_sr(),
    "context": srvgg_weights.perturbed(srvgg_weights.make_tiny_context()),
    "srvgg": srvgg_weights.make_tiny(3),
}


def shapes(params):
    return {name: value.shape for name, value in params.items()}


@pytest.mark.parametrize(
    ("name", "forward", "title", "receptive_field", "task_lr"),
    [
        ("rrdbnet", rrdbnet.forward, "RRDBNet of 2 blocks, 8 wide", 40, 1e-3),
        (
            "context",
            context_srvgg.forward,
            "SRVGGNetCompact of 8 convolutions, 8 wide, with a context branch",
            10 + 7 * 7,
            1e-2,
        ),
        ("srvgg", srvgg.forward, "SRVGGNetCompact of 3 convolutions, 8 wide", 5, 1e-2),
    ],
)
def test_the_table_finds_each_network_by_its_variables(name, forward, title, receptive_field, task_lr):
    params, images = TINY[name], recipe.image((1, 9, 7, 3), 1)
    network = sr.network_of(params)
    assert network.shapes_like(shapes(params)) == shapes(params)
    assert network.title(shapes(params)) == title
    assert sr.receptive_field(params) == receptive_field
    np.testing.assert_array_equal(sr.forward(params, images), forward(params, images))
    assert load.Weights("", params, None).task_lr == task_lr
    assert title in str(load.Weights("", params, None))


def test_the_compact_networks_receptive_field_is_what_it_sees():
    params, images = TINY["srvgg"], tf.constant(recipe.image((1, 21, 21, 3), 1))
    with tf.GradientTape() as tape:
        tape.watch(images)
        centre = srvgg.forward(params, images)[:, 40:44, 40:44]
    seen = np.flatnonzero(np.any(tape.gradient(centre, images)[0], axis=(1, 2)))
    assert [seen[0], seen[-1]] == [10 - sr.receptive_field(params), 10 + sr.receptive_field(params)]


def test_names_of_no_network_are_a_value_error():
    with pytest.raises(ValueError, match=r"MODEL/conv_first/weight or .* is missing, so this is no SR network"):
        sr.network_of({"MODEL/conv/weight": 0})


def of_scale(scale):
    """A compact network of another scale, as PyTorch holds it."""
    state_dict = srvgg_weights.to_state_dict(srvgg_weights.make_tiny())
    for name in ("body.6.weight", "body.6.bias"):
        state_dict[name] = state_dict[name][: 3 * scale**2]
    return state_dict


def unshuffled(factor):
    """An RRDBNet whose input is a picture of `factor` times the size, pixel-unshuffled: x2plus and x1."""
    state_dict = srvgg_weights.to_state_dict(make_tiny_sr())
    state_dict["conv_first.weight"] = np.repeat(state_dict["conv_first.weight"], factor**2, axis=1)
    return state_dict


@pytest.mark.parametrize(
    ("state_dict", "message"),
    [
        (of_scale(2), "an SRVGGNetCompact of scale 2, and only x4 can be used"),
        (of_scale(1), "an SRVGGNetCompact of scale 1, and only x4 can be used"),
        (of_scale(3), "an SRVGGNetCompact of scale 3, and only x4 can be used"),
        (unshuffled(2), "an RRDBNet of scale 2, and only x4 can be used"),
        (unshuffled(4), "an RRDBNet of scale 1, and only x4 can be used"),
    ],
)
def test_networks_of_another_scale_are_refused(tmp_path, state_dict, message):
    found = shapes(srvgg_weights.to_params(state_dict))
    with pytest.raises(ValueError, match=message):
        sr.network_of(found).shapes_like(found)
    write_pth(tmp_path / "a.pth", {"params": state_dict})
    with pytest.raises(UserError, match=f"a.pth: {message}$"):
        load.load_weights(tmp_path / "a.pth")


def changed(name, **values):
    """A tiny network with other variables, None for those to be left out."""
    params = TINY[name] | {variable.replace("__", "/"): value for variable, value in values.items()}
    return {variable: value for variable, value in params.items() if value is not None}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (changed("srvgg", MODEL__body__0__bias=None), "not an SRVGGNetCompact"),
        (changed("srvgg", MODEL__body__0__weight=None), "MODEL/body/0/weight is missing"),
        (changed("srvgg", MODEL__body__3__weight=None), r"MODEL/body/2/weight has shape .* expected \(3, 3, 8, 48\)"),
        (changed("srvgg", MODEL__body__8__bias=None), "MODEL/body/8/bias is missing"),
        (changed("srvgg", MODEL__body__8__bias=np.float32(1)), r"MODEL/body/8/bias has shape \(\), expected \(48,\)"),
        (changed("srvgg", MODEL__body__2__bias=np.zeros(7, np.float32)), r"has shape \(7,\), expected \(8,\)"),
        (changed("context", MODEL__context__down1__bias=None), "MODEL/context/downN/bias are missing"),
        (changed("context", MODEL__context__up2__bias=None), "MODEL/context/up2/bias is missing"),
        (changed("context", MODEL__context__down1__weight=None), "MODEL/context/down1/weight is missing"),
        (changed("context", MODEL__context__inner2__weight=None), "MODEL/context/inner2/weight is missing"),
    ],
)
def test_damaged_networks_are_one_line(tmp_path, params, message):
    npz.write_npz(tmp_path / "a.npz", params)
    with pytest.raises(UserError, match=message) as caught:
        load.load_weights(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_a_third_network_is_one_row_of_the_table(tmp_path, monkeypatch):
    """Nearest-neighbour enlargement with a gain that it learns."""

    def forward(params, images, run_block):
        return run_block(tf.repeat(tf.repeat(images, 4, axis=1), 4, axis=2), params["MODEL/gain"])

    toy = sr.SRNetwork(
        telltale="MODEL/gain",
        shapes_like=lambda found: {"MODEL/gain": (3,)},
        forward=forward,
        block=tf.multiply,
        graph_block=tf.multiply,
        xla_block=None,
        title=lambda found: "a toy",
        receptive_field=lambda names: 0,
        shapes_of_layers=lambda outputs, slopes: None,
        plain_task_lr=0.5,
    )
    monkeypatch.setattr(sr, "NETWORKS", (*sr.NETWORKS, toy))
    npz.write_npz(tmp_path / "toy.npz", {"MODEL/gain": np.float32([1, 0.5, 0.25])})
    weights = load.load_weights(tmp_path / "toy.npz")
    assert "a toy" in str(weights)
    assert weights.task_lr == 0.5
    rgb = recipe.image((70, 40, 3), 1)
    out = SuperResolver(tile=32)(weights.sr, rgb)
    expected = rgb.repeat(4, axis=0).repeat(4, axis=1) * np.float32([1, 0.5, 0.25])
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    npz.write_npz(tmp_path / "toy.npz", {"MODEL/gain": np.float32([1, 2])})
    with pytest.raises(UserError, match=r"MODEL/gain has shape \(2,\), expected \(3,\)"):
        load.load_weights(tmp_path / "toy.npz")
