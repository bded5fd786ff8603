"""A meta-training that is small enough for tests: tiny networks, drawn weights and pictures."""

import sys
from pathlib import Path

import numpy as np
import recipe
import tensorflow as tf
from conftest import make_tiny_sr

sys.path.append(str(Path(__file__).resolve().parents[1] / "data" / "tfrecords"))

from training_sets import write_pictures

from metaf2n_tf.commands.runs.tfrecord import Options, Request, run
from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.data.tfrecords.crops import Cropping
from metaf2n_tf.meta import checkpoint
from metaf2n_tf.meta.meta_step import MetaStep, TrainingState, initial_state
from metaf2n_tf.meta.method import Method
from metaf2n_tf.networks import discriminator, lpips, masknet
from metaf2n_tf.weights import npz


def lpips_params() -> dict[str, np.ndarray]:
    """Drawn weights: every test that needs the real ones takes them from weights/."""
    return recipe.weights(lpips.variable_shapes(), 1, "tf")


def state(seed: int = 0) -> TrainingState:
    mask = masknet.initial_params(seed)
    mask["Mask/conv8/bias"] = np.float32([0.05])
    return initial_state(make_tiny_sr() | mask, discriminator.initial_params(seed, width=8))


def batch(tasks: int = 2, pairs: int = 1, face: int = 32, background: int = 64) -> MetaBatch:
    sizes = [face // 4, face, background // 4, background, face, background]
    pictures = [
        recipe.image((tasks, pairs, size, size, 3), seed) for seed, size in zip((1, 2, 3, 4, 2, 4), sizes, strict=True)
    ]
    return MetaBatch(*map(tf.constant, pictures))


def meta_step(**options) -> MetaStep:
    """`options`: numbers of the method, and how the step is computed."""
    numbers = dict(meta_batch_size=2, task_lr=1e-2, task_iter=1, meta_lr=1e-4, discriminator_lr=1e-4)
    numbers |= {name: options.pop(name) for name in Method.__dataclass_fields__ if name in options}
    return MetaStep(Method(**numbers), lpips_params(), **{"xla": False, **options})


def make_sets(folder: Path) -> dict[str, object]:
    """Two training sets, a checkpoint of the tiny networks, and the settings of a training with them."""
    pictures = write_pictures(folder / "pictures", [(96, 96)] * 3)
    requests = [
        Request(folder / f"{name}.tfrecord", [str(pictures)], Cropping(96, 96)) for name in ("whole_face", "back400")
    ]
    assert run(requests, Options()) == 0
    tf.io.gfile.makedirs(str(folder / "weights" / "Model0"))
    checkpoint.save(folder / "weights" / "Model0", state(), 0, False, 0)
    npz.write_npz(folder / "sr.npz", make_tiny_sr())
    npz.write_npz(folder / "lpips.npz", lpips_params())
    return {
        "HEIGHT": 32,
        "WIDTH": 32,
        "HEIGHT1": 32,
        "WIDTH1": 32,
        "TFRECORD_PATH0": str(folder / "whole_face.tfrecord"),
        "TFRECORD_PATH1": str(folder / "back400.tfrecord"),
        "RESTORER": "none",
        "META_BATCH_SIZE": 1,
        "TASK_BATCH_SIZE": 1,
        "META_LR": 1e-4,
        "META_ITER": 4,
        "PRINT_ITER": 2,
        "SAVE_ITER": 2,
        "SR_WEIGHTS": str(folder / "sr.npz"),
        "DISCRIMINATOR_WEIGHTS": "random",
        "LPIPS_WEIGHTS": str(folder / "lpips.npz"),
        "CHECKPOINT_DIR": str(folder / "weights"),
        "LOG_DIR": str(folder / "logs"),
    }
