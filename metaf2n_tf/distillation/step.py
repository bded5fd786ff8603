"""One training step of the teacher or the student: loss, gradients, and PyTorch's Adam.

The state lives in variables that the step changes in place. PyTorch adds epsilon to the square root of the second
moment after its bias correction, TensorFlow's kernel before it: an epsilon that shrinks with the correction makes them
the same.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from metaf2n_tf.distillation import losses
from metaf2n_tf.distillation.losses import LossTerms, TermWeights
from metaf2n_tf.networks import kdfsrnet

BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8


class State(NamedTuple):
    """A network and its Adam: arrays by published name, and the number of updates."""

    params: Mapping[str, np.ndarray]
    first: Mapping[str, np.ndarray]
    second: Mapping[str, np.ndarray]
    updates: int


def initial_state(params: Mapping[str, np.ndarray]) -> State:
    """Zero moments, before the first update."""
    first, second = ({name: np.zeros_like(value) for name, value in params.items()} for _ in range(2))
    return State(params, first, second, 0)


def unpack(faces: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """LQ, HQ and parsing map of uint8 (N, S, S, 6 or 9), float32 in [0, 1]; the last one may have no channels."""
    pixels = tf.cast(faces, tf.float32) / 255.0
    return pixels[:, :, :, :3], pixels[:, :, :, 3:6], pixels[:, :, :, 6:]


def network_input(channels: int, lq: tf.Tensor, parsing: tf.Tensor) -> tf.Tensor:
    """What a network of so many input channels takes: the student the face, the teacher the parsing map, too."""
    return lq if channels == kdfsrnet.STUDENT.channels else tf.concat([lq, parsing], axis=-1)


class TrainingStep:
    """Trains one network, with a teacher or without."""

    def __init__(self, state: State, learning_rate: float, teacher: Mapping[str, np.ndarray] | None = None):
        """Put the state into variables; `teacher`: its params, which stay as they are."""
        self._params, self._first, self._second = (
            {name: tf.Variable(tf.constant(value), name=name.replace(".", "_")) for name, value in values.items()}
            for values in state[:3]
        )
        self._updates = tf.Variable(tf.constant(state.updates, tf.int64))
        self._rate = tf.constant(learning_rate, tf.float32)
        self._teacher = None if teacher is None else {name: tf.constant(value) for name, value in teacher.items()}
        self._channels = kdfsrnet.architecture_of(state.params).channels
        self._programs: dict[tuple[object, ...], Callable] = {}

    @property
    def state(self) -> State:
        """As it is now, as arrays."""
        values = ({name: value.numpy() for name, value in v.items()} for v in (self._params, self._first, self._second))
        return State._make([*values, int(self._updates.numpy())])

    def __call__(self, faces: tf.Tensor, weights: TermWeights | None = None) -> tuple[LossTerms, tf.Tensor]:
        """One step.

        Args:
          faces: uint8 (N, S, S, 6 or 9), as `faces.batches` gives them.
          weights: of the distillation terms; None, or no teacher, to go without.

        Returns:
          The losses before the update, and whether they and the gradients were finite; if not, nothing was updated.
        """
        if weights is None or self._teacher is None:
            return self._program(self._step_alone, faces)(faces)
        scalars = [tf.convert_to_tensor(weight, tf.float32) for weight in weights]
        return self._program(self._step_distilled, faces, *scalars)(faces, *scalars)

    def restore(self, faces: tf.Tensor) -> tf.Tensor:
        """The network's faces, float32 (N, S, S, 3), about [0, 1], not clipped."""
        return self._program(self._forward, faces)(faces)

    def _program(self, function: Callable, faces: tf.Tensor, *scalars: tf.Tensor) -> Callable:
        """A function compiled for faces of this size, however many there are: the last batch may be a smaller one."""
        key = function, *faces.shape[1:]
        if key not in self._programs:
            specs = [tf.TensorSpec([None, *faces.shape[1:]], tf.uint8), *([tf.TensorSpec([])] * len(scalars))]
            self._programs[key] = tf.function(function, autograph=False).get_concrete_function(*specs)
        return self._programs[key]

    def _forward(self, faces: tf.Tensor) -> tf.Tensor:
        lq, _, parsing = unpack(faces)
        return kdfsrnet.forward(self._params, network_input(self._channels, lq, parsing))[1]

    def loss(self, faces: tf.Tensor, weights: TermWeights | None) -> LossTerms:
        """The losses of a batch; see `__call__`."""
        lq, hq, parsing = unpack(faces)
        own = kdfsrnet.forward(self._params, network_input(self._channels, lq, parsing))
        if weights is None or self._teacher is None:
            return losses.alone(own[1], hq)
        teacher = kdfsrnet.forward(self._teacher, tf.concat([lq, parsing], axis=-1))
        return losses.distilled(own, tf.nest.map_structure(tf.stop_gradient, teacher), hq, weights)

    def _step_alone(self, faces: tf.Tensor) -> tuple[LossTerms, tf.Tensor]:
        return self._step(faces, None)

    def _step_distilled(self, faces: tf.Tensor, features: tf.Tensor, output: tf.Tensor) -> tuple[LossTerms, tf.Tensor]:
        return self._step(faces, TermWeights(features, output))

    def _step(self, faces: tf.Tensor, weights: TermWeights | None) -> tuple[LossTerms, tf.Tensor]:
        names = list(self._params)
        with tf.GradientTape() as tape:
            found = self.loss(faces, weights)
        gradients = tape.gradient(found.total, [self._params[name] for name in names])
        finite = tf.math.is_finite(found.total + tf.linalg.global_norm(gradients))

        def update() -> tf.Tensor:
            count = tf.cast(self._updates + 1, tf.float64)
            powers = [tf.cast(tf.pow(tf.constant(beta, tf.float64), count), tf.float32) for beta in (BETA1, BETA2)]
            epsilon = EPSILON * tf.sqrt(1.0 - powers[1])
            for name, gradient in zip(names, gradients, strict=True):
                handles = [slot[name].handle for slot in (self._params, self._first, self._second)]
                tf.raw_ops.ResourceApplyAdam(
                    var=handles[0],
                    m=handles[1],
                    v=handles[2],
                    beta1_power=powers[0],
                    beta2_power=powers[1],
                    lr=self._rate,
                    beta1=BETA1,
                    beta2=BETA2,
                    epsilon=epsilon,
                    grad=gradient,
                )
            self._updates.assign_add(1)
            return tf.constant(True)

        return found, tf.cond(finite, update, lambda: tf.constant(False))
