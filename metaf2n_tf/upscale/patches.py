"""Random patches of a photo's faces: the batch that the network is adapted on, and those that judge the steps."""

import os
import zlib
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.tiles import times_scale

PATCH_SIZE, PATCH_NUM_PER_IMG = 64, 16

Patches = tuple[np.ndarray, np.ndarray]  # float32 (N, p, p, 3) LQ and (N, 4p, 4p, 3) HQ, RGB in [0, 1]


def check_patches(patch_size: int, count: int) -> None:
    """Raise a UserError for patches of an impossible size or number."""
    if patch_size < 2 * SCALE or patch_size % SCALE:
        raise UserError(Argument("patch_size", patch_size), f": a multiple of {SCALE}, at least {2 * SCALE}")
    if count < 1:
        raise UserError(Argument("patch_num_per_img", count), ": at least 1")


def seed_of(seed: int, name: PurePath) -> list[int]:
    """The seed of the patches of one of many photos; name: its path relative to the folder of photos."""
    return [seed, zlib.crc32(os.fsencode(name))]


def used_whole(pairs: Sequence[Pair], patch_size: int) -> bool:
    """Whether all faces of a photo are too small to cut, see `sample_patches`."""
    return bool(pairs) and all(min(lq.shape[:2]) <= patch_size // SCALE for lq, _ in pairs)


def sample_patches(pairs: Sequence[Pair], patch_size: int, count: int, rng: np.random.Generator) -> Patches:
    """Cut the patches of one photo.

    A face with a side of at most patch_size / 4 LQ pixels is too small to cut: it is left out, unless no face of the
    photo is larger; then the first one is used whole, once.

    Args:
      pairs: uint8 (h, w, 3) LQ and (4h, 4w, 3) HQ faces.
      patch_size: side of the HQ patches in pixels, a multiple of 4.
      count: patches a face.
      rng: draws the positions, uniform over all that fit.

    Returns:
      float32 (N, p, p, 3) LQ and (N, 4p, 4p, 3) HQ patches in [0, 1], p = patch_size / 4 (the face's own size where
      it is used whole); N = 0 without faces.
    """
    side = patch_size // SCALE
    large = [(lq, hq) for lq, hq in pairs if min(lq.shape[:2]) > side]
    lq_patches, hq_patches = [], []
    for lq, hq in large:
        for _ in range(count):
            y, x = (int(rng.integers(0, length - side + 1)) for length in lq.shape[:2])
            rows, cols = slice(y, y + side), slice(x, x + side)
            lq_patches.append(lq[rows, cols])
            hq_patches.append(hq[times_scale(rows), times_scale(cols)])
    if pairs and not large:
        lq_patches, hq_patches = [pairs[0][0]], [pairs[0][1]]
    if not lq_patches:
        return np.zeros((0, side, side, 3), np.float32), np.zeros((0, patch_size, patch_size, 3), np.float32)
    lq, hq = ((np.stack(patches) / 255.0).astype(np.float32) for patches in (lq_patches, hq_patches))
    return lq, hq


def hold_out(lq: np.ndarray, hq: np.ndarray, rng: np.random.Generator) -> tuple[Patches, Patches]:
    """Keep a quarter of the patches, at least one, back to judge the steps by.

    Args:
      lq, hq: (N, p, p, 3) and (N, 4p, 4p, 3), as `sample_patches` gives them.
      rng: draws which.

    Returns:
      (LQ, HQ) of the others, and of those held out; none of these where N < 2.
    """
    held_out = np.zeros(len(lq), bool)
    if len(lq) > 1:
        held_out[rng.permutation(len(lq))[: max(1, len(lq) // 4)]] = True
    return (lq[~held_out], hq[~held_out]), (lq[held_out], hq[held_out])


def draw_patches(
    pairs: Sequence[Pair], patch_size: int, count: int, seed: int | Sequence[int], auto: bool
) -> tuple[Patches, Patches | None]:
    """What one photo is adapted on, see `sample_patches`, and other patches, which judge the steps.

    Args:
      seed: of their positions.
      auto: keep a quarter of the patches out of the steps; else further ones judge, unless there is but a single patch.
    """
    rng = np.random.default_rng(seed)
    patches = sample_patches(pairs, patch_size, count, rng)
    if auto:
        return hold_out(*patches, rng)
    return patches, sample_patches(pairs, patch_size, max(1, count // 4), rng) if len(patches[0]) > 1 else None
