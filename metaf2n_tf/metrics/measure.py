"""All metrics of one picture, whichever can be computed here, and why the others cannot."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.failures import PICTURE_ERRORS, reason_of
from metaf2n_tf.errors import Message, UserError
from metaf2n_tf.metrics import niqe
from metaf2n_tf.metrics.lpips import check_shapes
from metaf2n_tf.metrics.psnr import psnr_y, psnr_y_published
from metaf2n_tf.metrics.ssim import ssim_y
from metaf2n_tf.networks import alexnet, lpips
from metaf2n_tf.weights.lpips import WEIGHTS, load_lpips

NO_GT = "no ground truth"


@dataclass(frozen=True)
class Metric:
    """How a metric is read: `better` is "higher" or "lower"; `digits` are shown behind the point."""

    title: str
    better: str
    digits: int
    needs_gt: bool = True


METRICS = {
    "psnr_y": Metric("PSNR-Y, dB", "higher", 3),
    "psnr_y_published": Metric("PSNR-Y, dB, with the published channel order", "higher", 3),
    "ssim_y": Metric("SSIM-Y", "higher", 4),
    "lpips": Metric("LPIPS 0.1, AlexNet", "lower", 4),
    "niqe_pyiqa": Metric("NIQE as pyiqa computes it, published", "lower", 3, needs_gt=False),
    "niqe_basicsr": Metric("NIQE as BasicSR computes it", "lower", 3, needs_gt=False),
    "fid": Metric("FID, as published", "lower", 3, needs_gt=False),
    "fid_tensorflow": Metric("FID, resized as in TensorFlow's graph", "lower", 3, needs_gt=False),
}


@dataclass(frozen=True)
class Measured:
    """A picture's values, `{metric: value}`, and for each metric that is not among them the reason."""

    values: dict[str, float]
    failed: dict[str, Message] = field(default_factory=dict)


def _lpips_function() -> Callable[..., float]:
    params = {name: tf.constant(value) for name, value in load_lpips(WEIGHTS).items()}
    one_at_a_time = threading.Lock()  # it uses all cores, and 4 GB for a picture of 4096x4096

    def measure(result: np.ndarray, gt: np.ndarray) -> float:
        check_shapes(tf.TensorShape(result.shape), tf.TensorShape(gt.shape))
        first, second = (tf.constant(x[None].astype(np.float32) / np.float32(255)) for x in (result, gt))
        with one_at_a_time:
            return float(lpips.distance(params, first, second, pool=alexnet.max_pool)[0])

    return measure


def _niqe_function(convention: str) -> Callable[..., float]:
    params = niqe.load_niqe(niqe.WEIGHTS)
    return lambda result, _gt: niqe.niqe(result, params, convention)


class Measurer:
    """The metrics of pictures that can be computed with what is here; may be called by several threads.

    names: the metrics that are computed; not_computed: `{metric: reason}` of the others.
    """

    def __init__(self, with_gt: bool, niqe_convention: str = niqe.CONVENTIONS[0]):
        """Load the weights.

        Args:
          with_gt: whether there is a ground truth to compare with.
          niqe_convention: whose NIQE, one of `niqe.CONVENTIONS`.
        """
        self._functions: dict[str, Callable[..., float]] = {}  # of the result and the ground truth, None without one
        self.not_computed: dict[str, Message] = {}
        builders = {f"niqe_{niqe_convention}": lambda: _niqe_function(niqe_convention)}
        if with_gt:
            self._functions = {"psnr_y": psnr_y, "psnr_y_published": psnr_y_published, "ssim_y": ssim_y}
            builders = {"lpips": _lpips_function} | builders
        for name, build in builders.items():
            try:
                self._functions[name] = build()
            except UserError as error:
                self.not_computed[name] = error.message

    @property
    def names(self) -> list[str]:
        """The metrics that are computed."""
        return list(self._functions)

    def __call__(self, result: np.ndarray, gt: np.ndarray | None = None, no_gt: str | Message = NO_GT) -> Measured:
        """Measure a picture.

        Args:
          result: uint8 (H, W, 3) RGB.
          gt: the same; None where there is none, then the metrics that need it fail.
          no_gt: why there is none.
        """
        values, failed = {}, {}
        for name, function in self._functions.items():
            if gt is None and METRICS[name].needs_gt:
                failed[name] = Message(no_gt)
                continue
            try:
                values[name] = function(result, gt)
            except (ValueError, *PICTURE_ERRORS) as error:
                failed[name] = reason_of(error)
        return Measured(values, failed)
