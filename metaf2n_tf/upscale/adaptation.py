"""Adapt the SR network to one photo's face patches: the compiled inner loop of `meta/inner_loop.py`.

Patches go through in chunks of a fixed size whose gradients are summed, so that thirty faces need no more memory, and
no other program, than one.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from metaf2n_tf.meta import inner_loop
from metaf2n_tf.networks import sr
from metaf2n_tf.weights.load import Weights

_CHUNK_PIXELS = 4096  # LQ pixels in a chunk: 16 patches of 16 x 16, about 1.5 GB of activations


class Adaptation:
    """One photo's inner loop, step by step.

    losses: before each step so far, and after the last (`trajectory` fills it in); mean_weight: the mean of W, None
    without patches; patches: how many there are.
    """

    def __init__(self, adapter: "Adapter", lq: np.ndarray, hq: np.ndarray, task_lr: inner_loop.Rates):
        self._adapter, self._task_lr = adapter, task_lr
        self.patches = len(lq)
        size = max(1, _CHUNK_PIXELS // (lq.shape[1] * lq.shape[2]))
        self._chunks = []
        for start in range(0, len(lq), size):
            patches = tf.constant(lq[start : start + size]), tf.constant(hq[start : start + size])
            weight_map = adapter.weight_map(adapter.mask, *patches)
            self._chunks.append((len(patches[0]) / len(lq), weight_map, *patches))
        self.losses: list[float] = []
        means = [share * float(tf.reduce_mean(weight_map)) for share, weight_map, *_ in self._chunks]
        self.mean_weight = sum(means) if means else None

    @property
    def finite(self) -> bool:
        """Whether every loss so far is a number."""
        return all(math.isfinite(loss) for loss in self.losses)

    def _loss(self, params: sr.Params) -> float:
        return sum(share * float(self._adapter.loss(params, *chunk)) for share, *chunk in self._chunks)

    def _gradient(self, params: sr.Params) -> tuple[float, dict[str, tf.Tensor]]:
        total_loss, total = 0.0, None
        for share, *chunk in self._chunks:
            loss, gradient = self._adapter.gradient(params, *chunk)
            total_loss += share * float(loss)
            if share < 1:
                gradient = {name: share * value + (total[name] if total else 0) for name, value in gradient.items()}
            total = gradient
        return total_loss, total

    def trajectory(self, step_counts: list[int]) -> Iterator[tuple[int, sr.Params]]:
        """Yield (steps, weights after that many) in rising order; `losses` then ends with these weights' loss.

        The loaded weights themselves (`Adapter.params`) where there are no patches, and from the first loss on that is
        not finite, where the loop ends.
        """
        start, last = self._adapter.params, max(step_counts)
        params = start
        for steps in range(last + 1):
            gradient = None
            if self.patches and self.finite:
                loss, gradient = self._gradient(params) if steps < last else (self._loss(params), None)
                self.losses.append(loss)
            if not self.finite:
                params, gradient = start, None
            if steps in step_counts:
                yield steps, params
            if gradient:
                params = inner_loop.sgd_update(params, gradient, self._task_lr)


class Adapter:
    """The weights on the device and the compiled functions, made once per run."""

    def __init__(self, weights: Weights, xla: bool):
        """`xla` compiles the blocks of the gradient, where that pays for the network."""
        self.params = {name: tf.constant(value) for name, value in weights.sr.items()}
        self.mask = None if weights.mask is None else {name: tf.constant(v) for name, v in weights.mask.items()}
        network = sr.network_of(self.params)
        xla = xla and network.xla_block is not None
        self.mode = "XLA" if xla else "graph"
        forward = functools.partial(network.forward, run_block=network.xla_block if xla else network.graph_block)

        def compiled(function):
            return tf.function(function, autograph=False, reduce_retracing=not xla)

        self.weight_map = compiled(inner_loop.predict_weight_map)
        self.gradient = compiled(functools.partial(inner_loop.inner_gradient, forward=forward))
        self.loss = compiled(functools.partial(inner_loop.inner_loss, forward=forward))

    def adapt(self, lq: np.ndarray, hq: np.ndarray, task_lr: inner_loop.Rates) -> Adaptation:
        """Start a photo: from the loaded weights, on float32 (N, p, p, 3) LQ and (N, 4p, 4p, 3) HQ patches."""
        return Adaptation(self, lq, hq, task_lr)
