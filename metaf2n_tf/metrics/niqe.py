"""NIQE: how far a picture's local statistics are from those of pristine photographs (Mittal, Soundararajan and Bovik,
"Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal Processing Letters, 2013). Lower is better; there is
no reference picture.

Two conventions: "pyiqa" is what MetaF2N's published `calculate_metrics.py` prints (pyiqa 0.1.6.4), "basicsr" is
`calculate_niqe` of BasicSR 1.4.2. They differ in luma, and in the sign of the noise that normalising leaves where a
picture is flat, which NIQE counts.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from metaf2n_tf.metrics.psnr import luma
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.check import check_downloaded, check_variables

WEIGHTS = "weights/niqe_pris_params.npz"
CONVENTIONS = ("pyiqa", "basicsr")
BLOCK = 96
_SHAPES = {"mu_pris_param": (1, 36), "cov_pris_param": (36, 36), "gaussian_window": (7, 7)}
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_RGB_TO_YIQ_Y = np.array([0.299, 0.587, 0.114], np.float32)
# MATLAB's imresize by 0.5: Keys' cubic, a = -0.5, stretched over 8 pixels.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


def load_niqe(path: str | Path) -> dict[str, np.ndarray]:
    """Read the params of `niqe`, float64, from the `.npz` that `scripts/download_weights.py niqe` fetches.

    Returns:
      Of the pristine photographs' features, mean `mu_pris_param` (1, 36) and covariance `cov_pris_param` (36, 36);
      `gaussian_window` (7, 7), sum 1.

    Raises:
      UserError: nothing there, a damaged file, or other arrays.
    """
    path = check_downloaded(path, "niqe")
    params = npz.read_npz(path, np.float64)
    check_variables(str(path), params, _SHAPES)
    return {name: params[name] for name in _SHAPES}


def _luma(rgb: np.ndarray, convention: str) -> np.ndarray:
    """uint8 (H, W). In float32, in the published order: which way a few halves are rounded moves NIQE by up to 0.01."""
    if convention == "pyiqa":
        red, green, blue = np.moveaxis(rgb.astype(np.float32) / np.float32(255), -1, 0) * _RGB_TO_YIQ_Y[:, None, None]
        y = red + green + blue
    else:
        y = (luma(rgb) / 255).astype(np.float32)
    return np.rint(y * np.float32(255)).astype(np.uint8)


@functools.cache
def _shape_table() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the distributions considered: shape a, ratio E|x|^2 / E x^2 (it rises with a), scale / std, E|x| / scale."""
    shape = np.arange(0.2, 10.001, 0.001)
    log1, log2, log3 = (np.array([math.lgamma(n / a) for a in shape]) for n in (1, 2, 3))
    return shape, np.exp(2 * log2 - log1 - log3), np.exp((log1 - log3) / 2), np.exp(log2 - log1)


def _fit(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Asymmetric generalised Gaussians of (N, n) samples: index into the table of shapes, left scale, right scale.

    Samples of one sign have no distribution: index 0, as published, and a scale that is NaN.
    """
    _, ratios, scales, _ = _shape_table()
    left, right = np.minimum(x, 0), np.maximum(x, 0)
    left_square, right_square = (np.einsum("ij,ij->i", side, side) for side in (left, right))
    left_std = np.sqrt(left_square / np.count_nonzero(left, axis=1))
    right_std = np.sqrt(right_square / np.count_nonzero(right, axis=1))
    asymmetry = left_std / right_std
    ratio = (right.sum(axis=1) - left.sum(axis=1)) ** 2 / x.shape[1] / (left_square + right_square)
    ratio *= (asymmetry**3 + 1) * (asymmetry + 1) / (asymmetry**2 + 1) ** 2
    above = np.clip(np.searchsorted(ratios, ratio), 1, len(ratios) - 1)
    nearest = above - ((ratio - ratios[above - 1]) ** 2 <= (ratios[above] - ratio) ** 2)
    nearest[np.isnan(ratio)] = 0
    return nearest, left_std * scales[nearest], right_std * scales[nearest]


def _block_features(blocks: np.ndarray) -> np.ndarray:
    """(N, 18) of normalised blocks (N, side, side): of themselves, and of products with neighbours, wrapping round."""
    shape, _, _, means = _shape_table()
    nearest, left, right = _fit(blocks.reshape(len(blocks), -1))
    features = [shape[nearest], (left + right) / 2]
    for shift in _NEIGHBOURS:
        products = blocks * np.roll(blocks, shift, axis=(1, 2))
        nearest, left, right = _fit(products.reshape(len(blocks), -1))
        features += [shape[nearest], (right - left) * means[nearest], left, right]
    return np.stack(features, axis=1)


def _normalised_blocks(picture: np.ndarray, side: int, window: np.ndarray, float32_mean: bool) -> Iterator[np.ndarray]:
    """Row by row of blocks, (N, side, side): (picture - local mean) / (local std + 1)."""
    halo = len(window) // 2
    for top in range(0, len(picture), side):
        first = max(top - halo, 0)
        rows = picture[first : top + side + halo].astype(np.float64)
        mean, mean_square = (
            cv2.filter2D(x, cv2.CV_64F, window, borderType=cv2.BORDER_REPLICATE) for x in (rows, rows * rows)
        )
        if float32_mean:
            mean = mean.astype(np.float32).astype(np.float64)
        normalised = (rows - mean) / (np.sqrt(np.abs(mean_square - mean * mean)) + 1)
        yield normalised[top - first :][:side].reshape(side, -1, side).swapaxes(0, 1)


def _features(y: np.ndarray, window: np.ndarray, convention: str) -> np.ndarray:
    """(blocks, 36): 18 in full size, 18 in half."""
    half = cv2.sepFilter2D(y, cv2.CV_64F, _HALVING, _HALVING, anchor=(3, 3), borderType=cv2.BORDER_REFLECT)
    half = half[::2, ::2].copy()
    scales = []
    for picture, side in ((y, BLOCK), (half, BLOCK // 2)):
        # BasicSR halves to float32, so that its means there are float32: exact where the picture is flat.
        float32_mean = convention == "basicsr" and picture is half
        blocks = _normalised_blocks(picture, side, window, float32_mean)
        scales.append(np.concatenate([_block_features(row) for row in blocks]))
    return np.concatenate(scales, axis=1)


def niqe(rgb: np.ndarray, params: Mapping[str, np.ndarray], convention: str = "pyiqa") -> float:
    """NIQE of a picture, computed in float64; nothing is cut off its borders.

    Blocks of 96x96 pixels count, the remainder at the right and the bottom does not. Blocks that are flat all over
    count only in the mean, as published. "pyiqa" takes the covariance of a single block to be 0.

    Args:
      rgb: uint8 (H, W, 3).
      params: as `load_niqe` reads them.
      convention: one of `CONVENTIONS`.

    Raises:
      ValueError: a side is below 96, or too few blocks have texture on them, so that there is no number; another
        convention, another kind of picture.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention {convention!r}, expected one of {CONVENTIONS}")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"{rgb.dtype} {rgb.shape}, expected uint8 (H, W, 3)")
    height, width = (side // BLOCK * BLOCK for side in rgb.shape[:2])
    if not height or not width:
        raise ValueError(f"{rgb.shape[1]}x{rgb.shape[0]} pixels, NIQE needs sides of at least {BLOCK}")
    window = params["gaussian_window"]
    if convention == "pyiqa":  # rounded there, so that its sum is not 1: flat regions are of one sign
        window = window.astype(np.float32).astype(np.float64)
    y = _luma(rgb[:height, :width], convention)
    with np.errstate(divide="ignore", invalid="ignore"):
        features = _features(y, window, convention)
    complete = features[~np.isnan(features).any(axis=1)]
    fewest = 1 if convention == "pyiqa" else 2
    if len(complete) < fewest:
        raise ValueError(f"{len(complete)} of {len(features)} blocks have texture, NIQE needs {fewest}")
    covariance = np.cov(complete, rowvar=False) if len(complete) > 1 else 0.0
    difference = np.ravel(params["mu_pris_param"]) - np.nanmean(features, axis=0)
    square = difference @ np.linalg.pinv((params["cov_pris_param"] + covariance) / 2) @ difference
    if not 0 <= square < math.inf:
        raise ValueError("NIQE is not finite")
    return math.sqrt(square)
