import numpy as np
import pytest
from face_weights import retinaface_state_dict
from torch_file import write_pth

from metaf2n_tf.data.images import read_rgb8
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.detect import DETECTORS, Face, detect_faces


@pytest.fixture(scope="module")
def mtcnn():
    return DETECTORS["mtcnn"].build()


@pytest.fixture(scope="module")
def r50_file(tmp_path_factory):
    """The published file's variables, prefixed and wrapped as DataParallel training leaves them, and more."""
    path = tmp_path_factory.mktemp("weights") / "RetinaFace-R50.pth"
    state = {f"module.{name}": value for name, value in retinaface_state_dict().items()}
    write_pth(path, {"epoch": 7, "state_dict": state | {"module.body.fc.bias": np.zeros(5, np.float32)}})
    return path


@pytest.fixture(scope="module")
def r50(r50_file):
    return DETECTORS["retinaface_r50"].build(r50_file)


def check_places(face):
    """The face of the sample photo."""
    x0, y0, x1, y1 = face.box
    assert 35 < x0 < 50 < 80 < x1 < 95
    assert 20 < y0 < 45 < 70 < y1 < 90
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]


def test_mtcnn_finds_the_sample_face(mtcnn, sample_lq):
    (face,) = detect_faces(mtcnn, read_rgb8(sample_lq))
    check_places(face)


def test_no_face_and_tiny_photos(mtcnn, r50):
    for size in ((1, 1), (5, 300), (64, 64), (200, 120)):
        assert detect_faces(mtcnn, np.full((*size, 3), 127, np.uint8)) == []
        assert detect_faces(r50, np.full((*size, 3), 127, np.uint8), confidence=1.0) == []
        for face in detect_faces(r50, np.full((*size, 3), 127, np.uint8), confidence=0.1):
            assert np.isfinite(face.box).all()


def test_a_gray_group_photo(mtcnn, sample_lq):
    """30 faces side by side: each is found in its place, whatever its order."""
    portrait = np.repeat(read_rgb8(sample_lq)[20:100, 24:104].mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    group = np.tile(portrait, (5, 6, 1))
    faces = detect_faces(mtcnn, group)
    assert sorted(face.index for face in faces) == list(range(30))
    centres = {(int(face.landmarks[2, 1] // 80), int(face.landmarks[2, 0] // 80)) for face in faces}
    assert centres == {(row, col) for row in range(5) for col in range(6)}


def test_published_detections(golden, r50):
    case, _ = golden("retinaface_r50")
    faces = detect_faces(r50, case["input_bgr_uint8"][..., ::-1], float(case["detect_threshold"]))
    assert [face.index for face in faces] == list(range(len(case["detect_dets"])))
    np.testing.assert_allclose([face.box for face in faces], case["detect_dets"][:, :4], rtol=0, atol=5e-3)
    np.testing.assert_allclose([face.score for face in faces], case["detect_dets"][:, 4], rtol=0, atol=2e-5)
    landmarks = [face.landmarks.T.ravel() for face in faces]  # published as x1..x5, y1..y5
    np.testing.assert_allclose(landmarks, case["detect_landms"], rtol=0, atol=5e-3)


def test_another_networks_file_is_refused(tmp_path):
    write_pth(tmp_path / "a.pth", {"conv.weight": np.zeros((1, 1, 3, 3), np.float32)})
    with pytest.raises(UserError, match=r"a.pth: variable body.conv1.weight is missing"):
        DETECTORS["retinaface_r50"].build(tmp_path / "a.pth")


@pytest.fixture
def deepface_home(tmp_path, monkeypatch):
    """An untrained network of the package retina-face, where it looks for its weights."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    monkeypatch.setenv("DEEPFACE_BACKEND_ENGINE", "tensorflow")
    from retinaface import RetinaFace
    from retinaface.model import retinaface_model

    monkeypatch.delattr(RetinaFace, "model", raising=False)
    weights = tmp_path / ".deepface" / "weights" / "retinaface.h5"
    weights.parent.mkdir(parents=True)
    with monkeypatch.context() as untrained:
        untrained.setattr(retinaface_model, "load_weights", lambda model: model)
        retinaface_model.build_model().save_weights(str(weights))
    return weights


def test_the_package_retina_face(deepface_home, sample_lq):
    """Untrained weights find faces anywhere; all of them must be well-formed, above the threshold, and numbered."""
    detector = DETECTORS["retinaface"].build(deepface_home)
    faces = detect_faces(detector, read_rgb8(sample_lq), 0.5)
    assert faces
    assert [face.index for face in faces] == list(range(len(faces)))
    for face in faces:
        assert 0.5 <= face.score <= 1
        assert face.landmarks.shape == (5, 2)
        assert face.landmarks.dtype == np.float32
        assert all(0 <= value <= 128 for value in face.box)


def test_the_package_retina_face_is_given_bgr(deepface_home, monkeypatch):
    from retinaface import RetinaFace

    marks = {name: [3.0, 4.0] for name in ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")}
    found = {"face_1": {"score": 0.97, "facial_area": [1, 2, 30, 40], "landmarks": marks}}
    given = []
    monkeypatch.setattr(RetinaFace, "detect_faces", lambda image, **_: given.append(image) or found)
    (face,) = detect_faces(DETECTORS["retinaface"].build(deepface_home), np.full((50, 60, 3), (10, 20, 30), np.uint8))
    assert given[0][0, 0].tolist() == [30, 20, 10]
    assert (face.box, face.score) == ((1, 2, 30, 40), 0.97)
    assert face.landmarks[4].tolist() == [3, 4]


def test_no_more_than_750_faces(r50, monkeypatch, golden):
    case, _ = golden("retinaface_r50")
    picture = case["input_bgr_uint8"][..., ::-1]
    every = detect_faces(r50, picture, 0.5)
    monkeypatch.setattr("metaf2n_tf.faces.detect._MOST", 3)
    assert [face.box for face in detect_faces(r50, picture, 0.5)] == [face.box for face in every[:3]]
    monkeypatch.setattr("metaf2n_tf.faces.detect._MOST_BEFORE_OVERLAP", 1)
    assert [face.box for face in detect_faces(r50, picture, 0.5)] == [every[0].box]


def test_damaged_weights_of_the_package_are_one_line(deepface_home):
    whole = deepface_home.read_bytes()
    for damaged in (whole[:5000], whole[:3000] + bytes(2000) + whole[5000:], b"hello"):
        deepface_home.write_bytes(damaged)
        with pytest.raises(UserError, match=r"retinaface.h5: not readable as RetinaFace's weights. Remedy"):
            DETECTORS["retinaface"].build(deepface_home)


def fake(rgb, _confidence):
    """Two detections, the first one faint; the boxes tell the size of the picture that was looked at."""
    height, width = rgb.shape[:2]
    marks = np.float32([[width / 2, height / 2]] * 5)
    return [Face(0, (0, 0, 1, 1), 0.85, marks), Face(1, (0, 0, width, height), 0.95, marks)]


def test_faint_detections_use_up_their_index():
    (face,) = detect_faces(fake, np.zeros((50, 60, 3), np.uint8))
    assert face.index == 1
    assert len(detect_faces(fake, np.zeros((50, 60, 3), np.uint8), confidence=0.8)) == 2


def test_detections_that_are_no_numbers_are_left_out():
    def broken(rgb, confidence):
        faint, clear = fake(rgb, confidence)
        return [faint, clear, Face(2, (0, 0, np.nan, 1), 0.99, clear.landmarks)]

    assert [face.index for face in detect_faces(broken, np.zeros((50, 60, 3), np.uint8))] == [1]


def test_long_photos_are_detected_small_and_reported_in_their_own_pixels():
    seen = []

    def detector(rgb, confidence):
        seen.append(rgb.shape[:2])
        return fake(rgb, confidence)

    (face,) = detect_faces(detector, np.zeros((800, 1600, 3), np.uint8))
    detect_faces(detector, np.zeros((800, 1500, 3), np.uint8))
    assert seen == [(500, 1000), (800, 1500)]
    np.testing.assert_allclose(face.box, (0, 0, 1600, 800))
    np.testing.assert_allclose(face.landmarks[0], (800, 400))


def test_a_long_strip_has_no_faces():
    for size in ((1, 1501), (3001, 1), (2, 3000)):
        assert detect_faces(fake, np.zeros((*size, 3), np.uint8)) == []
    assert len(detect_faces(fake, np.zeros((1, 1500, 3), np.uint8))) == 1
