"""How well the face mesh's 68 landmarks agree with dlib's, and how steady they are on small faces.

python benchmarks/landmarks.py --photos FOLDER --dlib_python PYTHON

PYTHON is one that has the packages dlib-bin, face_recognition_models and Pillow; its predictor was trained for the 68
points. Distances are in percent of that between the outer corners of the eyes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf import runtime  # noqa: E402

flags.DEFINE_string("photos", str(ROOT / "datasets" / "sample" / "GT"), "Folder of photos with faces.")
flags.DEFINE_string("dlib_python", "python3", "A Python with dlib-bin, face_recognition_models and Pillow.")
flags.DEFINE_float("confidence", 0.95, "Lowest score of a face.")

# face_recognition_models finds its own files through pkg_resources, which newer Pythons do not have.
_DLIB = """
import importlib.util, pathlib, sys
import dlib, numpy as np
from PIL import Image
models = pathlib.Path(importlib.util.find_spec("face_recognition_models").submodule_search_locations[0], "models")
predict = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
detect = dlib.get_frontal_face_detector()
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.png")):
    picture = np.array(Image.open(file))
    boxes = detect(picture)
    if boxes:
        shape = predict(picture, max(boxes, key=lambda box: box.area()))
        np.savetxt(f"{file}.txt", [[shape.part(i).x, shape.part(i).y] for i in range(68)])
"""
_PARTS = {"eyebrows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48), "mouth": slice(48, 68)}
_SMALL = (64, 32)


def main(_: list[str]) -> None:
    """Print the distances."""
    runtime.import_tensorflow()
    from metaf2n_tf.data import images, listing
    from metaf2n_tf.faces import align, detect
    from metaf2n_tf.faces.exemplars.landmarks import INNER, Landmarker, read_landmarks
    from metaf2n_tf.faces.registry import find_weights

    find_faces, landmarker = detect.DETECTORS["mtcnn"].build(), Landmarker(find_weights("face-mesh", fetched=True))

    def outer_eyes(points: np.ndarray) -> float:
        return np.linalg.norm(points[36] - points[45])

    with tempfile.TemporaryDirectory() as scratch:
        found, moved = {}, []
        for photo in listing.list_files(Path(flags.FLAGS.photos), argument="photos"):
            rgb = images.read_rgb8(photo)
            for face in detect.detect_faces(find_faces, rgb, flags.FLAGS.confidence):
                square = align.warp_to_squares(rgb, [align.fit_face(face.landmarks, 512)[0]], 512, 1)[0]
                points = landmarker(square)
                if points is None:
                    print(f"{photo.name}, face {face.index}: no landmarks")
                    continue
                file = Path(scratch, f"{len(found):04}.png")
                found[file] = (f"{photo.name}, face {face.index}", points)
                images.write_rgb8(file, square)
                steady = []
                for side in _SMALL:
                    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
                    again, _ = landmarker.find(cv2.resize(small, (512, 512), interpolation=cv2.INTER_CUBIC))
                    steady.append(np.linalg.norm(again - points, axis=1)[INNER].mean() / outer_eyes(points))
                moved.append(steady)
        subprocess.run([flags.FLAGS.dlib_python, "-c", _DLIB, scratch], check=True)
        distances = []
        for file, (name, points) in found.items():
            reference = file.with_name(file.name + ".txt")
            if not reference.is_file():
                print(f"{name}: dlib sees no face")
                continue
            reference = read_landmarks(reference)
            distances.append(np.linalg.norm(points - reference, axis=1) / outer_eyes(reference))
            print(f"{name}: {100 * distances[-1][INNER].mean():.1f} %")
    if not distances:
        raise SystemExit("no face that both see")
    distances = 100 * np.array(distances)
    inner = distances[:, INNER]
    median = np.median(inner.mean(axis=1))
    print(f"{len(distances)} faces, inner 51 points: mean {inner.mean():.1f} %, median face {median:.1f}")
    print(", ".join(f"{name} {distances[:, part].mean():.1f}" for name, part in _PARTS.items()), end="; ")
    print(f"outline {distances[:, :17].mean():.1f}")
    for side, share in zip(_SMALL, 100 * np.mean(moved, axis=0), strict=True):
        print(f"from faces of {side} pixels: moved by {share:.1f} %")


if __name__ == "__main__":
    app.run(main)
