"""Every network in every format that is a graph, beside our own output; `test_other_programs` has heavy programs."""

import dataclasses
from pathlib import Path

import numpy as np
import other_programs
import pytest
import recipe
import srvgg_weights
import tensorflow as tf
from conftest import make_tiny_sr

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.export import export, layers
from metaf2n_tf.networks import sr
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights import load, npz

NETWORKS = {
    "rrdbnet": make_tiny_sr(),
    "compact": srvgg_weights.make_tiny(),
    "context": srvgg_weights.perturbed(srvgg_weights.make_tiny_context()),
}
SIZES = ((1, 1), (5, 8), (16, 24))
TOLERANCES = {False: 1e-4, True: 1e-2}  # by half


def adapted(folder):
    """The compact network after one step."""
    npz.write_npz(folder / "start.npz", NETWORKS["compact"])
    model = MetaF2N(folder / "start.npz")
    lq, hq = (images.to_levels(recipe.image((side, side, 3), seed)) for side, seed in ((16, 3), (64, 4)))
    _, (_, params) = model.adapt([(lq, hq)], patch_size=32, patch_num_per_img=2).trajectory([0, 1])
    return dataclasses.replace(model.weights, sr={name: value.numpy() for name, value in params.items()})


def weights_of(params):
    return load.Weights("tiny", params, None)


def pictures(size, count=1):
    return np.stack([recipe.image((*size, 3), seed) for seed in range(count)])


def expected(params, given):
    network, tensors = sr.network_of(params), {name: tf.constant(value) for name, value in params.items()}
    return network.forward(tensors, tf.constant(given), network.block).numpy()


def check(program, path, params, given, half):
    result = other_programs.PROGRAMS[program](path, given)
    np.testing.assert_allclose(result, expected(params, given), atol=TOLERANCES[half], rtol=0)


def test_every_network_is_tried():
    assert {sr.network_of(params).telltale for params in NETWORKS.values()} == {row.telltale for row in sr.NETWORKS}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(tmp_path, name, half):
    params, path = NETWORKS[name], tmp_path / "a.onnx"
    assert export(path, weights_of(params), half) == path.stat().st_size
    for height, width in SIZES:
        unit = sr.unit(params)
        check("onnxruntime", path, params, pictures((height * unit, width * unit), 2), half)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["rrdbnet", "compact"])
def test_ncnn(tmp_path, name, half):
    params, path = NETWORKS[name], tmp_path / "a.param"
    export(path, weights_of(params), half)
    for size in SIZES:
        check("ncnn", path, params, pictures(size), half)
    again = load.load_weights(path)
    assert list(again.sr) == list(params)
    for variable, value in params.items():
        kept = value.astype(np.float16) if half and value.ndim == 4 else value
        np.testing.assert_array_equal(again.sr[variable], kept, err_msg=variable)


@pytest.mark.parametrize(("name", "half"), [("rrdbnet", False), ("compact", True), ("context", False)])
def test_saved_model(tmp_path, name, half):
    params, path = NETWORKS[name], tmp_path / "saved"
    assert export(path, weights_of(params), half) > (path / "saved_model.pb").stat().st_size
    for size in SIZES:
        check("saved_model", path, params, pictures(size, 2), half)


@pytest.mark.parametrize(("name", "half"), [("rrdbnet", False), ("compact", True), ("context", False)])
def test_tflite(tmp_path, name, half):
    params, path = NETWORKS[name], tmp_path / "a.tflite"
    export(path, weights_of(params), half, tile=32)
    check("tflite", path, params, pictures((32, 32)), half)


def test_adapted_weights(tmp_path):
    weights = adapted(tmp_path)
    assert any(not np.array_equal(value, NETWORKS["compact"][name]) for name, value in weights.sr.items())
    given = pictures((32, 32))
    for name, program in (("a.onnx", "onnxruntime"), ("a.bin", "ncnn"), ("a", "saved_model"), ("a.tflite", "tflite")):
        export(tmp_path / name, weights, tile=32 if name == "a.tflite" else None)
        check(program, tmp_path / name, weights.sr, given, False)


def test_ncnn_files_are_those_of_real_esrgan(tmp_path):
    """The layers of the published realesr-general-x4v3.param, which has 32 convolutions more."""
    export(tmp_path / "a.param", weights_of(srvgg_weights.make_tiny(0)))
    magic, counts, *lines = (tmp_path / "a.param").read_text().splitlines()
    assert (magic, counts) == ("7767517", "8 9")
    found = [line.split() for line in lines]
    assert [(kind, inputs, outputs) for kind, _, inputs, outputs, *_ in found] == [
        ("Input", "0", "1"),
        ("Split", "1", "2"),
        ("Convolution", "1", "1"),
        ("PReLU", "1", "1"),
        ("Convolution", "1", "1"),
        ("PixelShuffle", "1", "1"),
        ("Interp", "1", "1"),
        ("BinaryOp", "2", "1"),
    ]
    assert found[0][-1] == "data"
    assert found[-1][-2:] == ["output", "0=0"]


@pytest.mark.parametrize("name", ["a.onnx", "a.param", "a.pth", "a.safetensors", "a", "a.tflite"])
def test_what_half_precision_cannot_hold_is_one_line_and_nothing_is_left(tmp_path, name):
    params = NETWORKS["compact"]
    large = params | {"MODEL/body/0/weight": params["MODEL/body/0/weight"] + np.float32(1e5)}
    with pytest.raises(UserError, match=r"/a.*: variable .* holds values that are too large for half precision"):
        export(tmp_path / name, weights_of(large), half=True, tile=32 if name == "a.tflite" else None)
    assert not any(tmp_path.iterdir())


def test_what_ncnn_cannot_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a.param: SRVGGNetCompact .* multiples of 8 alone, which ncnn's programs"):
        export(tmp_path / "a.param", weights_of(NETWORKS["context"]))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "tile", "message"),
    [
        ("a.pt", None, "output=.*a.pt: a name that ends with .npz, .pth, .safetensors, .onnx, .param, .bin, .tflite,"),
        ("a.onnx", 64, "tile=64: only a .tflite takes pictures of one size alone"),
        ("a.tflite", 36, "tile=36: these weights take multiples of 8 pixels"),
        ("folder.pth", None, "folder.pth: a folder, and a file is to be written"),
        ("full", None, "full: is there already, and holds something else. Remedy: another name"),
        ("file", None, "file: is there already, and holds something else"),
        ("file/a.onnx", None, "file: cannot make this folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_computed(tmp_path, monkeypatch, name, tile, message):
    for folder in ("folder.pth", "full"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.txt").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(layers, "trace", None)
    with pytest.raises(UserError, match=message):
        export(tmp_path / name, weights_of(NETWORKS["context"]), tile=tile)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.onnx", "a.param", "a.bin", "a.tflite", "a"])
def test_what_is_there_is_replaced(tmp_path, name):
    small, large = (weights_of(srvgg_weights.make_tiny(0, width)) for width in (4, 16))
    sizes = [export(tmp_path / name, weights, tile=32 if name == "a.tflite" else None) for weights in (small, large)]
    assert sizes[1] > sizes[0]
    names = {"a.param", "a.bin"} if Path(name).suffix in (".param", ".bin") else {name}
    assert {path.name for path in tmp_path.iterdir()} == names


def traced(forward):
    """The layers of a network that computes this."""
    row = dataclasses.replace(sr.NETWORKS[0], telltale="x", forward=lambda params, images, block: forward(images))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sr, "NETWORKS", (row,))
        return layers.trace({"x": np.zeros(1, np.float32)})


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (tf.nn.sigmoid, "an operation Sigmoid, which is no layer known here"),
        (lambda x: x * x, "a product of two features, which"),
        (lambda x: x + 1.0, "a sum of features and numbers"),
        (lambda x: tf.tile(x, [1, 2, 1, 1]), "something repeated that is neither pixels nor channels"),
        (lambda x: tf.concat([x, x], 1), "along another axis than their channels"),
        (lambda x: tf.reshape(x, [1, -1, 3]), "features in another shape"),
        (lambda x: tf.nn.depth_to_space(tf.concat([x, x, x, x], 3), 2), "channels that become pixels after concat"),
        (lambda x: tf.nn.conv2d(x, tf.ones([3, 3, 3, 1]), 1, "VALID"), "a convolution of another kind"),
        (lambda x: tf.nn.conv2d(x, tf.ones([3, 3, 3, 1]), 1, "SAME", dilations=2), "a convolution of another kind"),
    ],
)
def test_operations_that_no_layer_stands_for_are_named(forward, message):
    with pytest.raises(UserError, match=message):
        traced(forward)


def test_layers_are_recognized():
    slopes = np.float32([0.1, 0.2, 0.3])

    def forward(x):
        x = tf.nn.relu(x) - slopes * tf.nn.relu(-x)
        return tf.repeat(tf.repeat(x, 2, axis=1), 3, axis=2) - 0.5 * tf.repeat(tf.repeat(x, 3, axis=2), 2, axis=1)

    found = layers.in_order(traced(forward))
    assert [layer.kind for layer in found] == ["input", "prelu", "enlarge", "enlarge", "scale", "scale", "add"]
    np.testing.assert_array_equal(found[1].arrays[0], slopes)
    assert [layer.factors for layer in found[2:4]] == [(2, 3), (2, 3)]
    assert [layer.number for layer in found[4:6]] == [0.5, -1]
