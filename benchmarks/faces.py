"""Speed, memory and agreement of GPEN, RetinaFace and ASFFNet, with PyTorch run beside them.

  python benchmarks/faces.py --torch_python PYTHON    # about 5 minutes on 2 CPU cores

The baseline, benchmarks/torch_faces.py, needs an interpreter that has PyTorch and NumPy. Weights are drawn as the
tests draw them; arithmetic and time do not depend on their values.
"""

import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from beside_torch import compare

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "golden")]

NETWORKS = {
    "GPEN-512, 1 face": ("gpen", "gpen512", (1, 512, 512)),
    "GPEN-256, 1 face": ("gpen", "gpen256", (1, 256, 256)),
    "GPEN-256, 16 faces": ("gpen", "gpen256", (16, 256, 256)),
    "RetinaFace, 1000x750": ("retinaface", "retinaface_r50", (1, 750, 1000)),
    "ASFFNet, 1 face": ("asffnet", "asffnet", (1, 512, 512)),
}
RUNS = 4

flags.DEFINE_string("torch_python", sys.executable, "Python interpreter that has PyTorch.")
flags.DEFINE_multi_string("ours", None, "Run ours: network and folder (used by the benchmark itself).")


def prepare(network: str, topic: str, shape: tuple[int, ...], folder: Path) -> None:
    """Write weights and input."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    import asffnet_weights
    from face_weights import gpen_state_dict, retinaface_state_dict
    from recipe import image

    from metaf2n_tf.networks.retinaface import MEAN_BGR

    if network == "asffnet":  # spectral normalization done beforehand for both
        state = asffnet_weights.to_params(asffnet_weights.asffnet_state_dict())
        state = {name: value.transpose(3, 2, 0, 1) if value.ndim == 4 else value for name, value in state.items()}
    else:
        state = gpen_state_dict(topic) if network == "gpen" else retinaface_state_dict()
    np.savez(folder / "weights.npz", **{name: value for name, value in state.items() if value.dtype == np.float32})
    pictures = image((*shape, 9 if network == "asffnet" else 3), 3)
    pictures = pictures * 255 - np.float32(MEAN_BGR) if network == "retinaface" else pictures * 2 - 1
    np.save(folder / "input.npy", np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))


def run_ours(network: str, folder: Path) -> None:
    """Time our network in this process, as benchmarks/torch_faces.py does the other."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device(None)
    import tensorflow as tf

    from metaf2n_tf.networks import asffnet, gpen, retinaface
    from metaf2n_tf.weights.pth import to_tf_layout

    with np.load(folder / "weights.npz") as arrays:
        params = {name: tf.constant(to_tf_layout(arrays[name])) for name in arrays.files}
    images = tf.constant(np.load(folder / "input.npy").transpose(0, 2, 3, 1))
    inputs = [images]
    if network == "asffnet":  # face, exemplar, mask of the landmarks, warp
        inputs = [*tf.split(images[..., :7], [3, 3, 1], axis=-1), images[:, ::4, ::4, 7:]]
    networks = {"gpen": gpen, "retinaface": retinaface, "asffnet": asffnet}
    forward = tf.function(networks[network].forward, autograph=False)
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        output = tf.nest.map_structure(lambda tensor: tensor.numpy(), forward(params, *inputs))
        seconds.append(time.monotonic() - began)
    if network != "retinaface":
        output = output.transpose(0, 3, 1, 2)
    else:
        boxes, scores, landmarks = output
        output = np.concatenate([boxes, 1 - scores[..., None], scores[..., None], landmarks], axis=-1)
    np.save(folder / "output.npy", output)
    print(*seconds)


def main(_: list[str]) -> None:
    """Measure everything, or run ours alone."""
    args = flags.FLAGS
    if args.ours:
        run_ours(args.ours[0], Path(args.ours[1]))
    else:
        compare(NETWORKS, prepare, __file__, "torch_faces.py", args.torch_python)


if __name__ == "__main__":
    app.run(main)
