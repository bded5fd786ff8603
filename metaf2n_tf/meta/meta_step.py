"""One step of meta-training (paper section 3.3; MetaF2N's `train.py`): a meta-batch in, new weights out.

Per task the inner loop adapts the SR network to the faces, and the outer loss measures it on the backgrounds; its
gradient, through the inner loop, trains the SR network and MaskNet. The discriminator learns from the same outputs (the
published code makes them again, with the generator's new weights).
Tasks follow one another and only sums of their gradients are kept, so memory does not grow with their number.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.meta import adam, losses
from metaf2n_tf.meta.inner_loop import Adapted, Forward, Params, adapt, predict_weight_map
from metaf2n_tf.meta.losses import OuterTerms
from metaf2n_tf.meta.method import Method
from metaf2n_tf.meta.recompute import recompute
from metaf2n_tf.networks import discriminator, lpips, masknet, sr
from metaf2n_tf.networks.typed import static_shape
from metaf2n_tf.weights.load import RATE_SCOPE


class TrainingState(NamedTuple):
    """Everything that a meta-step changes; float32."""

    generator: Params  # SR network and MaskNet; the logarithms of the rates where they are learned
    discriminator: Params  # with the vectors `u`; empty where GAN_WEIGHT is 0
    generator_adam: adam.AdamState
    discriminator_adam: adam.AdamState


class Losses(NamedTuple):
    """Of a meta-batch: means over its tasks, float32; T = TASK_ITER."""

    inner: tf.Tensor  # before the first inner step, scalar
    outer: tf.Tensor  # after each inner step, (T,)
    l1: tf.Tensor  # the terms of `outer`, unweighted, (T,)
    lpips: tf.Tensor
    gan: tf.Tensor
    discriminator: tf.Tensor  # with the outputs after each inner step, (T,)
    weighted: tf.Tensor  # what the generator's optimizer minimizes, scalar
    weight_map: tf.Tensor  # mean of W, scalar


class Pictures(NamedTuple):
    """Of the first task: W, (B, p, p, 1), and the SR backgrounds after adaptation, (B, q, q, 3), not clipped."""

    weight_map: tf.Tensor
    outputb: tf.Tensor


class Gradients(NamedTuple):
    """Sums over tasks, divided by META_BATCH_SIZE."""

    generator: Params
    discriminator: Params
    losses: Losses
    weight_range: tf.Tensor  # least and largest W, (2,); not a sum
    pictures: Pictures  # not a sum


class Report(NamedTuple):
    """What a meta-step tells."""

    losses: Losses
    weight_range: tf.Tensor
    pictures: Pictures
    updated: tf.Tensor  # bool scalar: False where a gradient was not finite, and the state is as before


class Unadapted(NamedTuple):
    """The outer loss with the weights as they are, before any inner step: means over the tasks, scalars."""

    outer: tf.Tensor
    l1: tf.Tensor
    lpips: tf.Tensor
    gan: tf.Tensor
    outputb: tf.Tensor  # of the first task, (B, q, q, 3)


def tensors(values: Mapping[str, tf.Tensor | np.ndarray]) -> dict[str, tf.Tensor]:
    """The same values, all of them tensors."""
    return {name: tf.convert_to_tensor(value) for name, value in values.items()}


def initial_state(
    generator: Mapping[str, tf.Tensor | np.ndarray], discriminator_params: Mapping[str, tf.Tensor | np.ndarray]
) -> TrainingState:
    """The state before the first step.

    Args:
      generator: SR network's and MaskNet's weights, and logarithms of learned rates.
      discriminator_params: with the vectors `u`; empty for none.
    """
    weights, discriminator_weights = tensors(generator), tensors(discriminator_params)
    return TrainingState(
        weights,
        discriminator_weights,
        adam.initial_state(weights),
        adam.initial_state(discriminator.trained(discriminator_weights)),
    )


def in_scope(params: Params, scope: str) -> Params:
    """The variables whose names start with `scope/`."""
    return {name: value for name, value in params.items() if name.startswith(f"{scope}/")}


def initial_rates(sr_names: Iterable[str], task_lr: float) -> dict[str, np.ndarray]:
    """`{"TaskLR/<variable>": log(task_lr)}`, the rates before they have learned anything."""
    return {f"{RATE_SCOPE}/{name}": np.array(math.log(task_lr), np.float32) for name in sr_names}


def rates(log_rates: Params) -> dict[str, tf.Tensor]:
    """`{variable: rate}` of `{"TaskLR/<variable>": log rate}`."""
    return {name.removeprefix(f"{RATE_SCOPE}/"): tf.exp(value) for name, value in log_rates.items()}


def _in_bfloat16(forward: Forward) -> Forward:
    """`forward` computed in bfloat16; parameters, images and the result are float32, and so are all gradients."""

    def mixed(params: Params, images: tf.Tensor) -> tf.Tensor:
        params = {name: tf.cast(value, tf.bfloat16) for name, value in params.items()}
        return tf.cast(forward(params, tf.cast(images, tf.bfloat16)), tf.float32)

    return mixed


@dataclass(frozen=True, eq=False)
class MetaStep:
    """How meta-steps are computed.

    method: its numbers; lpips_params: of LPIPS; first_order: no gradient through the inner gradient; recompute_blocks:
    keep the inputs of the SR network's blocks only, less memory for more time; mixed_precision: SR network and
    discriminator in bfloat16; xla: compile each function to one XLA program.
    """

    method: Method
    lpips_params: lpips.Params
    first_order: bool = False
    recompute_blocks: bool = False
    mixed_precision: bool = False
    xla: bool = True

    def _super_resolve(self, params: Params, images: tf.Tensor) -> tf.Tensor:
        # Not the network's graph_block: its second-order gradient needs twice the memory, and XLA takes the weights in
        # it for constants, which means compiling at every step.
        network = sr.network_of(params)
        block = recompute(network.block, self.xla) if self.recompute_blocks else network.block
        forward = functools.partial(network.forward, run_block=block)
        return (_in_bfloat16(forward) if self.mixed_precision else forward)(params, images)

    @functools.cached_property
    def _discriminate(self) -> Forward:
        return _in_bfloat16(discriminator.forward) if self.mixed_precision else discriminator.forward

    def _outer_terms(self, normalized: Params, task: MetaBatch, output: tf.Tensor, weight_map: tf.Tensor) -> OuterTerms:
        """`normalized`: the discriminator's weights, empty for none."""
        target = seen = task.labelb
        seen_output = output
        if self.method.lpips_windows:
            drawn_by = tf.reduce_sum(tf.cast(tf.round(task.labelb_nousm * 255.0), tf.int32))
            windows = losses.draw_windows(tf.stack([drawn_by, 0]), *static_shape(task.labelb)[:2])
            seen, seen_output = (losses.see_windows(windows, pictures) for pictures in (target, output))
        return OuterTerms(
            l1=tf.reduce_mean(tf.abs(target - output)),
            lpips=tf.reduce_mean(lpips.distance(self.lpips_params, seen, seen_output)),
            gan=losses.real_loss(self._discriminate(normalized, output)) if normalized else tf.zeros(()),
            mask=losses.mask_term(weight_map),
        )

    def _adapt(self, generator: Params, task: MetaBatch) -> Adapted:
        """The weights that the outer loss sees: after each inner step, or as they are where there is no inner loop."""
        weights = in_scope(generator, sr.SCOPE)
        if not self.method.inner_loop:
            return Adapted([weights], [tf.zeros(())], tf.ones_like(task.labela[:, :, :, :1]))
        return adapt(
            weights,
            in_scope(generator, masknet.SCOPE),
            task.inputa,
            task.labela,
            rates(in_scope(generator, RATE_SCOPE)) or self.method.task_lr,
            self.method.task_iter,
            self.first_order,
            self._super_resolve,
        )

    def task_gradients(
        self, generator: Params, discriminator_params: Params, task: MetaBatch, step: tf.Tensor | int
    ) -> Gradients:
        """Losses and gradients of one task, (B, ...), not divided by anything.

        Args:
          generator: SR network's and MaskNet's weights, and logarithms of learned rates.
          discriminator_params: with the vectors `u`; empty for none.
          task: one task of a meta-batch.
          step: number of the meta-step, from 0.
        """
        trained = discriminator.trained(discriminator_params)
        with (
            tf.GradientTape(watch_accessed_variables=False) as discriminator_tape,
            tf.GradientTape(watch_accessed_variables=False) as tape,
        ):
            discriminator_tape.watch(trained)
            tape.watch(generator)
            normalized = discriminator.normalize(discriminator_params)[0] if discriminator_params else {}
            adapted = self._adapt(generator, task)
            outputs = [self._super_resolve(params, task.inputb) for params in adapted.params]
            terms = [self._outer_terms(normalized, task, output, adapted.weight_map) for output in outputs]
            outer = tf.stack([term.total(self.method.loss_weights) for term in terms])
            steps = len(outputs)
            weighted = tf.reduce_mean(losses.step_weights(step if self.method.decay_step_weights else 0, steps) * outer)
            if self.method.inner_loop and self.method.loss_weights.unadapted:
                before = self._super_resolve(in_scope(generator, sr.SCOPE), task.inputb)
                terms_before = self._outer_terms(normalized, task, before, tf.ones_like(adapted.weight_map))
                weighted += self.method.loss_weights.unadapted * terms_before.total(self.method.loss_weights)
            discriminator_losses = [tf.zeros(())] * steps
            if discriminator_params:
                real = losses.real_loss(self._discriminate(normalized, task.labelb_nousm))
                discriminator_losses = [
                    real + losses.fake_loss(self._discriminate(normalized, output)) for output in outputs
                ]
        gradient = tape.gradient(weighted, generator, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        discriminator_gradient = discriminator_tape.gradient(discriminator_losses[-1], trained)
        return Gradients(
            generator=cast(dict[str, tf.Tensor], gradient),
            discriminator=cast(dict[str, tf.Tensor], discriminator_gradient),
            losses=Losses(
                inner=adapted.losses[0],
                outer=outer,
                l1=tf.stack([term.l1 for term in terms]),
                lpips=tf.stack([term.lpips for term in terms]),
                gan=tf.stack([term.gan for term in terms]),
                discriminator=tf.stack(discriminator_losses),
                weighted=weighted,
                weight_map=tf.reduce_mean(adapted.weight_map),
            ),
            weight_range=tf.stack([tf.reduce_min(adapted.weight_map), tf.reduce_max(adapted.weight_map)]),
            pictures=Pictures(adapted.weight_map, outputs[-1]),
        )

    def _over_tasks(self, one_task: Callable[[MetaBatch], Gradients], batch: MetaBatch) -> Gradients:
        """Task after task in a loop that carries the sums; backwards, so that the first one's pictures remain."""
        tasks = static_shape(batch.inputa)[0]

        def take(index: tf.Tensor | int) -> MetaBatch:
            return MetaBatch(*(tensor[index] for tensor in batch))

        shapes = one_task.get_concrete_function(take(0)).structured_outputs
        zeros = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), shapes)
        start = zeros._replace(weight_range=tf.constant([float("inf"), float("-inf")]))

        def add(index: tf.Tensor, total: Gradients) -> tuple[tf.Tensor, Gradients]:
            one = one_task(take(tasks - 1 - index))
            generator, discriminator_gradient, summed = tf.nest.map_structure(
                lambda a, b: a + b / self.method.meta_batch_size, total[:3], one[:3]
            )
            low, high = tf.unstack(total.weight_range)
            weight_range = tf.stack([tf.minimum(low, one.weight_range[0]), tf.maximum(high, one.weight_range[1])])
            return index + 1, Gradients(generator, discriminator_gradient, summed, weight_range, one.pictures)

        return tf.while_loop(
            lambda index, _: index < tasks,
            add,
            (tf.constant(0), start),
            parallel_iterations=1,
            maximum_iterations=tasks,
        )[1]

    def unadapted(self, state: TrainingState, batch: MetaBatch) -> Unadapted:
        """The outer loss of the tasks given without any inner step: (tasks, B, ...); nothing is kept for gradients."""
        weights, mask = (in_scope(state.generator, scope) for scope in (sr.SCOPE, masknet.SCOPE))
        normalized = discriminator.normalize(state.discriminator)[0] if state.discriminator else {}

        def one_task(task: MetaBatch) -> tuple[tf.Tensor, ...]:
            output = self._super_resolve(weights, task.inputb)
            weight_map = predict_weight_map(mask if self.method.inner_loop else None, task.inputa, task.labela)
            terms = self._outer_terms(normalized, task, output, weight_map)
            return terms.total(self.method.loss_weights), terms.l1, terms.lpips, terms.gan, output

        types = (tf.float32,) * len(Unadapted._fields)
        *terms, outputs = tf.map_fn(one_task, batch, parallel_iterations=1, fn_output_signature=types)
        return Unadapted._make([*(tf.reduce_mean(term) for term in terms), outputs[0]])

    def gradients(self, state: TrainingState, batch: MetaBatch, step: tf.Tensor | int) -> Gradients:
        """Gradients of the tasks given, which may be a part of the meta-batch: (its tasks, B, ...)."""
        one_task = tf.function(
            lambda task: self.task_gradients(state.generator, state.discriminator, task, step), autograph=False
        )
        return self._over_tasks(one_task, batch)

    def _learning_rates(self, generator: Params, step: tf.Tensor | int) -> dict[str, tf.Tensor | float]:
        """Adam's rate for each variable of the generator at this step."""
        rate = self.method.meta_lr
        if self.method.meta_lr_decay != 1:
            end = self.method.meta_lr_decay * rate
            done = tf.minimum(tf.cast(step, tf.float32) / self.method.meta_iter, 1.0)
            rate = end + (rate - end) * (1.0 + tf.cos(math.pi * done)) / 2.0
        return {name: self.method.rate_lr if name.startswith(f"{RATE_SCOPE}/") else rate for name in generator}

    def apply(
        self, state: TrainingState, gradients: Gradients, step: tf.Tensor | int = 0
    ) -> tuple[TrainingState, Report]:
        """Update both networks with the gradients of a whole meta-batch, or neither where one of them is not finite."""
        norms = tf.linalg.global_norm([*gradients.generator.values(), *gradients.discriminator.values()])
        finite = tf.math.is_finite(norms + gradients.losses.weighted + gradients.losses.discriminator[-1])

        def updated() -> TrainingState:
            gradient = gradients.generator
            if self.method.clip_norm:
                clipped, _ = tf.clip_by_global_norm(list(gradient.values()), self.method.clip_norm)
                gradient = dict(zip(gradient, clipped, strict=True))
            learning_rates = self._learning_rates(gradient, step)
            generator, generator_adam = adam.update(state.generator, gradient, state.generator_adam, learning_rates)
            if not state.discriminator:
                return state._replace(generator=generator, generator_adam=generator_adam)
            _, advanced = discriminator.normalize(state.discriminator)
            discriminator_params, discriminator_adam = adam.update(
                state.discriminator, gradients.discriminator, state.discriminator_adam, self.method.discriminator_lr
            )
            return TrainingState(generator, discriminator_params | advanced, generator_adam, discriminator_adam)

        def unchanged() -> TrainingState:
            return tf.nest.map_structure(tf.identity, state)

        report = Report(gradients.losses, gradients.weight_range, gradients.pictures, finite)
        return tf.cond(finite, updated, unchanged), report

    @functools.cached_property
    def compiled(self) -> Callable[[TrainingState, MetaBatch, tf.Tensor], tuple[TrainingState, Report]]:
        """A whole meta-step, `(state, batch, step) -> (new state, report)`, as one program."""

        def meta_step(state: TrainingState, batch: MetaBatch, step: tf.Tensor) -> tuple[TrainingState, Report]:
            return self.apply(state, self.gradients(state, batch, step), step)

        return self.compile(meta_step)

    @functools.cached_property
    def compiled_unadapted(self) -> Callable[[TrainingState, MetaBatch], Unadapted]:
        """`unadapted` as one program."""
        return self.compile(self.unadapted)

    def compile(self, function: Callable) -> Callable:
        """A function of tensors as one program, under XLA if that is asked for."""
        return tf.function(function, jit_compile=self.xla, autograph=False)
