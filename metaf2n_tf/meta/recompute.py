"""Trades time for memory: functions whose intermediate results are computed again where a gradient needs them.

Unlike `tf.recompute_grad`, which cannot be differentiated twice, the gradient made here is itself such a function, so
this works to any order, and at each of them only a function's inputs are kept (Chen et al., "Training Deep Nets with
Sublinear Memory Cost", 2016).
"""

from collections.abc import Callable
from typing import cast

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla as tf2xla

_ZERO = tf.UnconnectedGradients.ZERO


def _hold_back(xla: bool) -> Callable:
    """The identity of several tensors, none of which is there before all are: what is made of them is made that late,
    and is not taken for the same as what was made of the tensors before."""

    @tf.custom_gradient
    def hold_back(*tensors: tf.Tensor) -> tuple[list[tf.Tensor], Callable]:
        if xla:
            held = cast(list[tf.Tensor], tf2xla.optimization_barrier(*tensors))
        else:
            with tf.control_dependencies(tensors):
                held = [tf.identity(tensor) for tensor in tensors]
        return held, lambda *cotangents: list(cotangents)

    return hold_back


def recompute(function: Callable[..., tf.Tensor | list[tf.Tensor]], xla: bool) -> Callable:
    """`function`, keeping nothing but its arguments for its gradient.

    Args:
      function: of float tensors, to a tensor or a list of them.
      xla: whether the caller is compiled with XLA.

    Returns:
      A function of the same arguments and values, differentiable as often as `function` is.
    """

    @tf.custom_gradient
    def call(*inputs: tf.Tensor) -> tuple[tf.Tensor | list[tf.Tensor], Callable]:
        def gradient(*cotangents: tf.Tensor) -> list[tf.Tensor]:
            def pullback(*arguments: tf.Tensor) -> list[tf.Tensor]:
                inputs, cotangents = arguments[: len(arguments) - outputs], arguments[len(arguments) - outputs :]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(inputs)
                    results = tf.nest.flatten(function(*inputs))
                gradients = tape.gradient(results, inputs, list(cotangents), unconnected_gradients=_ZERO)
                return cast(list[tf.Tensor], list(gradients))

            outputs = len(cotangents)
            return recompute(pullback, xla)(*_hold_back(xla)(*inputs, *cotangents))

        return function(*inputs), gradient

    return call
