import numpy as np
import pytest
import tensorflow as tf
from face_weights import retinaface_state_dict, to_params

from metaf2n_tf.networks import retinaface


@pytest.fixture(scope="module")
def params():
    return to_params(retinaface_state_dict())


def test_published_outputs(golden, params):
    case, meta = golden("retinaface_r50")
    drawn = sum(np.abs(value, dtype=np.float64).sum() for value in params.values())
    assert drawn == pytest.approx(meta["weights_abs_sum"], rel=1e-6)
    images = np.float32(case["input_bgr_uint8"][None]) - np.float32(retinaface.MEAN_BGR)

    body = retinaface.backbone(params, images)
    pyramid = retinaface.feature_pyramid(params, body)
    for name, stages in (("body", body), ("fpn", pyramid)):
        np.testing.assert_allclose([np.mean(stage) for stage in stages], case[f"{name}_mean"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            [np.std(stage, ddof=1) for stage in stages], case[f"{name}_std"], rtol=1e-4, atol=1e-5
        )

    box_offsets, scores, landmark_offsets = (output.numpy()[0] for output in retinaface.forward(params, images))
    np.testing.assert_allclose(box_offsets, case["loc"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores, case["conf"][:, 1], rtol=0, atol=2e-5)
    np.testing.assert_allclose(landmark_offsets, case["landms"], rtol=0, atol=1e-4)


def test_published_anchors_and_decoding(golden):
    case, meta = golden("retinaface_r50")
    height, width = meta["size"]
    anchors = retinaface.priors(height, width)
    np.testing.assert_array_equal(anchors, case["priors"])
    boxes, landmarks = retinaface.decode(anchors, case["loc"], case["landms"])
    np.testing.assert_allclose(boxes * [width, height, width, height], case["boxes_px"], rtol=0, atol=5e-3)
    landmarks_px = (landmarks * [width, height]).reshape(-1, 10)
    np.testing.assert_allclose(landmarks_px, case["landmarks_px"], rtol=0, atol=5e-3)


@pytest.mark.parametrize("percent", [30, 40])
def test_published_suppression(golden, percent):
    case, _ = golden("retinaface_r50")
    kept = retinaface.suppress(case["nms_dets"], percent / 100)
    assert kept == case[f"nms_keep_0{percent // 10}"].tolist()


@pytest.mark.parametrize("size", [(96, 128), (75, 333), (9, 9)])
def test_there_is_an_output_for_every_anchor(params, size):
    outputs = retinaface.forward(params, np.zeros((1, *size, 3), np.float32))
    anchors = len(retinaface.priors(*size))
    assert [tuple(output.shape) for output in outputs] == [(1, anchors, 4), (1, anchors), (1, anchors, 10)]


def test_coarser_features_are_enlarged_as_pytorch_does():
    """3 columns to 5: PyTorch takes floor(i * 3 / 5); half-pixel centres would take column 1 in the second place."""
    x = tf.reshape(tf.range(3, dtype=tf.float32), (1, 1, 3, 1))
    assert retinaface._resize_nearest(x, [1, 5]).numpy().ravel().tolist() == [0, 0, 1, 1, 2]


def test_xla_compiles_it(params):
    images = tf.constant(np.random.default_rng(0).uniform(-100, 100, (1, 40, 50, 3)).astype(np.float32))
    compiled = tf.function(retinaface.forward, jit_compile=True)(params, images)
    for ours, expected in zip(compiled, retinaface.forward(params, images), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4)
