"""Adapt the SR network to face patches: the compiled inner loop of `meta/inner_loop.py`.

Patches go through in chunks of a fixed size whose gradients are summed, so that thirty faces need no more memory, and
no other program, than one.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from metaf2n_tf import progress
from metaf2n_tf.errors import Argument, Message
from metaf2n_tf.meta import inner_loop
from metaf2n_tf.networks import sr
from metaf2n_tf.upscale.patches import Patches
from metaf2n_tf.upscale.steps import Steps, is_auto, most_steps, step_label
from metaf2n_tf.weights.load import Weights

_CHUNK_PIXELS = 4096  # LQ pixels in a chunk: 16 patches of 16 x 16, about 1.5 GB of activations


class Adaptation:
    """The inner loop of one photo, or of an album, step by step.

    losses: of the last `trajectory`, which fills it in, before each step so far, and after the last; held_out_losses:
    the same of patches that no step sees, empty where there are none; mean_weight: the mean of W, None without patches;
    patches: how many the steps are made on.
    """

    def __init__(
        self, adapter: "Adapter", patches: Patches, task_lr: inner_loop.Rates, held_out: Patches | None = None
    ):
        """Start from the loaded weights.

        Args:
          adapter: of these weights.
          patches: that the steps are made on, LQ and HQ.
          task_lr: learning rate, or one for each variable.
          held_out: other patches, which no step sees.
        """
        self._adapter, self._task_lr = adapter, task_lr
        self.patches = len(patches[0])
        self._chunks = adapter.chunks(*patches)
        self._held_out = [] if held_out is None else adapter.chunks(*held_out)
        self.losses: list[float] = []
        self.held_out_losses: list[float] = []
        means = [share * float(tf.reduce_mean(weight_map)) for share, weight_map, *_ in self._chunks]
        self.mean_weight = sum(means) if means else None

    @property
    def finite(self) -> bool:
        """Whether every loss so far is a number."""
        return all(math.isfinite(loss) for loss in self.losses)

    def diverged(self, steps: int) -> bool:
        """Whether after so many steps, which `trajectory` has reached, the loss is no number, or above the first."""
        losses = self.losses[: steps + 1]
        return bool(losses) and not (math.isfinite(losses[-1]) and losses[-1] <= losses[0])

    def _loss(self, params: sr.Params, chunks: list[tuple]) -> float:
        return sum(share * float(self._adapter.loss(params, *chunk)) for share, *chunk in chunks)

    def _gradient(self, params: sr.Params) -> tuple[float, dict[str, tf.Tensor]]:
        total_loss, total = 0.0, {}
        for share, *chunk in self._chunks:
            loss, gradient = self._adapter.gradient(params, *chunk)
            total_loss += share * float(loss)
            if share < 1:
                gradient = {name: share * value + total.get(name, 0) for name, value in gradient.items()}
            total = gradient
        return total_loss, total

    def trajectory(self, step_counts: Sequence[int]) -> Iterator[tuple[int, sr.Params]]:
        """Yield (steps, weights after that many) in rising order; `losses` then ends with the loss after these steps.

        Each call starts anew from the loaded weights, and so do the losses.

        The loaded weights themselves (`Adapter.params`) where there are no patches, and for every number of steps that
        `diverged`. The loop ends with the first loss that is not finite.
        """
        self.losses, self.held_out_losses = [], []
        start, last = self._adapter.params, max(step_counts)
        params = start
        with contextlib.ExitStack() as told:  # of stretches of steps, but not of what is done between them
            advance = told.enter_context(progress.of("steps", last))
            for steps in range(last + 1):
                gradient = None
                if self.patches and self.finite:
                    if steps < last:
                        loss, gradient = self._gradient(params)
                    else:
                        loss = self._loss(params, self._chunks)
                    self.losses.append(loss)
                    if self._held_out:
                        self.held_out_losses.append(self._loss(params, self._held_out))
                if steps in step_counts:
                    told.close()
                    yield steps, start if self.diverged(steps) else params
                    advance = told.enter_context(progress.of("steps", last, done=steps))
                if gradient and self.finite:
                    params = inner_loop.sgd_update(params, gradient, self._task_lr)
                    advance(1)

    def best(self, most: int) -> tuple[int, sr.Params]:
        """The number of steps, of 0 to `most`, with the lowest held-out loss, and the weights after them.

        The fewest of equal ones, never one that `diverged`; 0 where no patch is held out.
        """
        best = 0, self._adapter.params
        for steps, params in self.trajectory(range(most + 1)) if self._held_out else ():
            if not self.diverged(steps) and self.held_out_losses[steps] < self.held_out_losses[best[0]]:
                best = steps, params
        return best

    def results(self, asked: Sequence[Steps]) -> Iterator[tuple[Steps, int, sr.Params]]:
        """Yield (what was asked for, the number of steps that is used in its place, weights after these).

        Args:
          asked: numbers of steps, or `auto` alone.
        """
        if is_auto(asked[0]):
            yield asked[0], *self.best(most_steps(asked))
            return
        for steps, params in self.trajectory([steps for steps in asked if not is_auto(steps)]):
            yield steps, 0 if not self.patches or self.diverged(steps) else steps, params

    def at_strength(self, params: sr.Params, strength: float) -> sr.Params:
        """theta_0 + strength (theta' - theta_0), theta' being `params`; the weights themselves at 0 and 1."""
        start = self._adapter.params
        if strength == 0 or params is start:
            return start
        if strength == 1:
            return params
        return {name: value + strength * (params[name] - value) for name, value in start.items()}

    def remarks(self, used: Mapping[Steps, int]) -> list[Message]:
        """What a user must know of these results, `{asked: number of steps that is used}`, in sentences."""
        if not self.patches:
            return []
        held_out, remarks = self.held_out_losses, []
        for auto in [asked for asked in used if is_auto(asked)]:
            most, steps = most_steps([auto]), used[auto]
            if not held_out:
                remarks.append(Message("a single patch leaves none to judge the steps by, so auto makes none"))
            elif steps:
                change = f"{held_out[0]:.5f} -> {held_out[steps]:.5f}"
                remarks.append(Message(f"auto takes {step_label(steps)} of at most {most}, held-out loss {change}"))
            else:
                remarks.append(Message(f"none of 1 to {most} steps lowers the held-out loss, so auto takes none"))
        numbers = [steps for steps in used if not is_auto(steps)]
        if diverged := [steps for steps in numbers if self.diverged(steps)]:
            losses = ", ".join(f"{self.losses[: steps + 1][-1]:.4g} after {steps}" for steps in diverged)
            remarks.append(
                Message(
                    f"the loss diverged ({self.losses[0]:.4g} before, {losses}), so there the unadapted weights are "
                    "used. Remedy: a lower ",
                    Argument("task_lr"),
                )
            )
        kept = [steps for steps in numbers if steps not in diverged]
        for steps in kept if held_out else ():
            fewer = min(range(steps + 1), key=held_out.__getitem__)
            if fewer < steps:
                losses = f"{held_out[steps]:.5f}, above {held_out[fewer]:.5f} after {fewer}"
                remedy = Argument("fine_tune_num", "auto")
                remarks.append(Message(f"after {step_label(steps)} the held-out loss is {losses}. Remedy: ", remedy))
        return remarks


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

    def chunks(self, lq: np.ndarray, hq: np.ndarray) -> list[tuple]:
        """Patches in parts that fit into memory: (share of all patches, W, LQ, HQ) each."""
        size = max(1, _CHUNK_PIXELS // (lq.shape[1] * lq.shape[2]))
        chunks = []
        for start in range(0, len(lq), size):
            part = tf.constant(lq[start : start + size]), tf.constant(hq[start : start + size])
            chunks.append((len(part[0]) / len(lq), self.weight_map(self.mask, *part), *part))
        return chunks
