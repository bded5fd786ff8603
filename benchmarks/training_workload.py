"""Weights and one meta-batch for the benchmarks of meta-training."""

import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf.data import images  # noqa: E402
from metaf2n_tf.networks import discriminator, lpips, masknet, rrdbnet  # noqa: E402
from metaf2n_tf.weights.load import load_weights  # noqa: E402
from metaf2n_tf.weights.lpips import load_lpips  # noqa: E402

# What a step is given: MetaBatch's fields, less `labela_gt`, which no loss looks at.
INPUTS = ("inputa", "labela", "inputb", "labelb", "labelb_nousm")


def in_scopes(weights: dict, *scopes: str) -> dict:
    """The variables of some networks."""
    return {name: value for name, value in weights.items() if name.split("/")[0] in scopes}


def generator(weights: dict) -> dict:
    """The SR network's and MaskNet's variables."""
    return in_scopes(weights, rrdbnet.SCOPE, masknet.SCOPE)


def discriminator_of(weights: dict) -> dict:
    """The discriminator's variables."""
    return in_scopes(weights, discriminator.SCOPE)


def perceptual(weights: dict) -> dict:
    """LPIPS's variables."""
    return {name: weights[name] for name in lpips.variable_shapes()}


def real_weights(blocks: int) -> dict[str, np.ndarray]:
    """Real-ESRGAN's first blocks, LPIPS, and an untrained MaskNet and discriminator, under their published names."""
    sr = load_weights(ROOT / "weights" / "realesrgan-x4plus.npz").sr
    sr = {name: sr[name] for name in rrdbnet.variable_shapes(blocks)}
    perceptual_weights = load_lpips(ROOT / "weights" / "lpips-alex.npz")
    return sr | masknet.initial_params(seed=0) | discriminator.initial_params(seed=0) | perceptual_weights


def cut_meta_batch(tasks: int, pairs: int, face_patch: int, background_patch: int) -> dict[str, np.ndarray]:
    """A meta-batch of crops of the sample photo: `{"inputa": (T, B, p/4, p/4, 3), ...}`, float32 RGB in [0, 1]."""
    photo = images.read_rgb8(ROOT / "datasets" / "sample" / "GT" / "grace_hopper.png")
    rng = np.random.default_rng(0)

    def crops(size: int) -> tuple[np.ndarray, np.ndarray]:
        hq, lq = [], []
        for _ in range(tasks * pairs):
            top, left = rng.integers(0, 1 + np.subtract(photo.shape[:2], size))
            hq.append(photo[top : top + size, left : left + size])
            lq.append(cv2.resize(hq[-1], (size // 4, size // 4), interpolation=cv2.INTER_AREA))
        return tuple(np.reshape(x, (tasks, pairs, *x[0].shape)).astype(np.float32) / 255 for x in (hq, lq))

    labela, inputa = crops(face_patch)
    labelb_nousm, inputb = crops(background_patch)
    labelb = np.clip(1.2 * labelb_nousm - 0.1, 0, 1)
    return dict(zip(INPUTS, (inputa, labela, inputb, labelb, labelb_nousm), strict=True))
