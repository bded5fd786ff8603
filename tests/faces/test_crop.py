import cv2
import numpy as np

from metaf2n_tf.data import images
from metaf2n_tf.faces.crop import face_slices, find_crop, select_faces
from metaf2n_tf.faces.detect import Face


def face(*box, index=0):
    return Face(index, box, 0.95, np.zeros((5, 2), np.float32))


def test_published_rectangles(golden):
    _, meta = golden("face_align")
    for box in meta["boxes"]:
        if box["written"]:
            rows, cols = face_slices(face(*box["box"][:4]), (192, 160))
            assert ([rows.start, rows.stop], [cols.start, cols.stop]) == (box["lq_rows"], box["lq_cols"])


def test_boxes_at_and_beyond_the_border():
    assert face_slices(face(-7.9, 150.2, 500.0, 158.0), (160, 120)) == (slice(150, 159), slice(0, 120))
    for outside in (face(130.0, 10.0, 140.0, 20.0), face(-30.0, 10.0, -3.0, 20.0)):
        rows, cols = face_slices(outside, (160, 120))
        assert cols.stop - cols.start == 0 < rows.stop - rows.start


def test_selection():
    faces = [
        face(0, 0, 9, 9, index=0),
        face(20, 0, 59, 29, index=1),
        face(-90, -90, -1.5, -1.5, index=2),
        face(-20, 0, 3, 99, index=3),
        face(10, 10, 79, 79, index=4),
    ]

    def indices(**limits):
        return [kept.index for kept in select_faces(faces, (100, 100), **limits)]

    assert indices() == [0, 1, 3, 4]
    assert indices(min_face=5) == [0, 1, 4]  # only 4 columns of face 3 lie in the photo
    assert indices(min_face=11) == [1, 4]
    assert indices(max_faces=2) == [1, 4]
    assert indices(max_faces=1) == [4]
    assert indices(max_faces=9) == [0, 1, 3, 4]
    assert indices(min_face=71) == []


def test_a_crop_is_found_where_it_was_cut(sample_lq):
    photo = images.read_rgb8(sample_lq)
    place = slice(31, 84), slice(44, 91)
    assert find_crop(photo, photo[place]) == place
    _, encoded = cv2.imencode(".jpg", photo[place], [cv2.IMWRITE_JPEG_QUALITY, 75])
    lossy = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert (lossy != photo[place]).any()
    assert find_crop(photo, lossy) == place
    assert find_crop(photo, photo) == (slice(0, 128), slice(0, 128))


def test_a_crop_of_another_photo_is_not_found(sample_lq):
    photo = images.read_rgb8(sample_lq)
    assert find_crop(photo, photo[31:84, 44:91, ::-1]) is None
    assert find_crop(photo, np.full((20, 20, 3), 128, np.uint8)) is None
    assert find_crop(photo[:40], photo[31:84, 44:91]) is None
    assert find_crop(photo[:1, :1], photo[:1, :1]) == (slice(0, 1), slice(0, 1))
