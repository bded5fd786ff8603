import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf.networks import rrdbnet


def from_torch(weights):
    """Published PyTorch names and layout -> ours."""
    return {
        "MODEL/" + name.replace(".", "/"): value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        for name, value in weights.items()
    }


def test_published_network_with_real_weights(golden, real_params):
    case, meta = golden("rrdbnet")
    total = sum(np.abs(value.astype(np.float64)).sum() for value in real_params.values())
    assert total == pytest.approx(meta["weights_abs_sum_real"], rel=1e-6)
    assert sum(value.size for value in real_params.values()) == 16_697_987
    out = rrdbnet.forward(real_params, tf.constant(case["real_input"]))
    np.testing.assert_allclose(out, case["real_output"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("block", [rrdbnet.BLOCK, rrdbnet.XLA_BLOCK])
def test_two_blocks_with_recipe_weights(golden, block):
    case, meta = golden("rrdbnet")
    torch_shapes = {
        name.removeprefix("MODEL/").replace("/", "."): (shape[3], shape[2], 3, 3) if len(shape) == 4 else shape
        for name, shape in rrdbnet.variable_shapes(num_block=2).items()
    }
    params = from_torch(recipe.weights(torch_shapes, meta["seed"], "torch", meta["gain"]))
    assert rrdbnet.count_blocks(params) == 2
    out = rrdbnet.forward(params, tf.constant(case["two_input"]), block)
    np.testing.assert_allclose(out, case["two_output"], rtol=0, atol=2e-5)


def test_variable_shapes_are_the_published_ones():
    shapes = rrdbnet.variable_shapes()
    assert len(shapes) == 702
    assert shapes["MODEL/body/22/rdb3/conv5/weight"] == (3, 3, 192, 64)
    assert next(iter(shapes)) == "MODEL/conv_first/weight"
    assert list(shapes)[-1] == "MODEL/conv_last/bias"


def test_batch_is_independent(tiny_sr):
    images = recipe.image((3, 9, 7, 3), 1)
    together = rrdbnet.forward(tiny_sr, images).numpy()
    alone = rrdbnet.forward(tiny_sr, images[1:2]).numpy()
    assert together.shape == (3, 36, 28, 3)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-6)
