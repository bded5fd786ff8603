import zlib

import numpy as np
import pytest
import tensorflow as tf
from inception_weights import golden_pictures, inception_params, inception_state_dict
from torch_file import write_pth

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import inception
from metaf2n_tf.weights.inception import load_inception


def prepared(name, resize="pytorch_fid"):
    return inception.prepare(np.float32(golden_pictures()[name])[None] / np.float32(255), resize)


@pytest.mark.parametrize("name", ["same_size", "enlarged", "shrunk"])
def test_published_features(golden, name):
    """Every quirk shows here: `error_of_pool3_if` in meta.json says what each wrong one would cost."""
    case, meta = golden("inception")
    assert zlib.crc32(golden_pictures()[name].tobytes()) == meta["crc32"][name]
    found = inception.stages(inception_params(), prepared(name))
    tolerance = meta["tolerance"]
    for index, stage in enumerate(meta["stages"]):
        x, (step, channels) = found[stage].numpy()[0], meta["steps"][stage]
        assert list(x.shape) == meta["stage_shapes"][stage]
        close = {"rtol": 0, "atol": tolerance["stage_abs"], "err_msg": stage}
        np.testing.assert_allclose(x[::step, ::step, ::channels], case[f"{name}_{stage}"], **close)
        np.testing.assert_allclose(x.mean(), case[f"{name}_stage_mean"][index], **close)
        np.testing.assert_allclose(x.std(), case[f"{name}_stage_std"][index], **close)
    pool3 = inception.pool3(inception_params(), prepared(name))
    assert (pool3.dtype, pool3.shape) == (tf.float32, (1, inception.FEATURES))
    np.testing.assert_allclose(pool3[0], case[f"{name}_pool3"], rtol=0, atol=tolerance["pool3_abs"])


def test_wrong_networks_and_resizes_would_be_seen(golden):
    _, meta = golden("inception")
    for what, errors in meta["error_of_pool3_if"].items():
        assert max(errors.values()) > 100 * meta["tolerance"]["pool3_abs"], what


def test_names_and_shapes_are_the_published_ones(golden):
    _, meta = golden("inception")
    state = inception_state_dict()
    drawn = sum(np.abs(value, dtype=np.float64).sum() for value in state.values())
    assert drawn == pytest.approx(meta["weights_abs_sum"], rel=1e-6)
    unused = {name for name in state if name.startswith("fc.") or name.endswith(".num_batches_tracked")}
    assert set(inception.variable_shapes()) == set(state) - unused
    assert {name: value.shape for name, value in inception_params().items()} == inception.variable_shapes()


def bilinear(x, size, half_pixel_centers):
    """The two rules in plain NumPy, float64."""
    for axis in (0, 1):
        length = x.shape[axis]
        at = np.arange(size) * length / size
        if half_pixel_centers:
            at = np.maximum((np.arange(size) + 0.5) * length / size - 0.5, 0)
        low = np.floor(at).astype(int)
        weight = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        low, high = (np.take(x, np.minimum(index, length - 1), axis) for index in (low, low + 1))
        x = low * (1 - weight) + high * weight
    return x


@pytest.mark.parametrize("name", ["same_size", "enlarged", "shrunk"])
def test_both_resizes(name):
    levels = np.float64(golden_pictures()[name])
    size = inception.SIDE
    np.testing.assert_allclose(
        prepared(name)[0], 2 * bilinear(levels, size, half_pixel_centers=True) / 255 - 1, rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(
        prepared(name, "tensorflow")[0], (bilinear(levels, size, half_pixel_centers=False) - 128) / 128, atol=1e-4
    )


def test_weights_come_from_the_published_file(tmp_path):
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    write_pth(path, inception_state_dict())
    found = load_inception(path)
    assert set(found) == set(inception.variable_shapes())
    for name, value in inception_params().items():
        np.testing.assert_array_equal(found[name], value)


def test_wrong_weight_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"missing.pth: no such file. Remedy: python scripts/download_weights.py incep"):
        load_inception(tmp_path / "missing.pth")
    other = tmp_path / "torchvision.pth"
    name = "Conv2d_1a_3x3.conv.weight"
    write_pth(other, {name: inception_state_dict()[name]})
    with pytest.raises(UserError, match=r"torchvision.pth: variable Conv2d_1a_3x3.bn.weight is missing"):
        load_inception(other)
