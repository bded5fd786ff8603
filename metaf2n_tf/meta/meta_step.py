"""One step of meta-training (paper section 3.3; MetaF2N's `train.py`): a meta-batch in, new weights out.

Per task the inner loop adapts the SR network to the faces, and the outer loss judges it on the backgrounds; its
gradient, through the inner loop, trains the SR network and MaskNet. The discriminator learns from the same outputs (the
published code makes them again, with the generator's new weights).
Tasks follow one another and only sums of their gradients are kept, so memory does not grow with their number.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.meta import adam, losses
from metaf2n_tf.meta.inner_loop import Forward, Params, adapt, predict_weight_map
from metaf2n_tf.meta.losses import OuterTerms
from metaf2n_tf.meta.recompute import recompute
from metaf2n_tf.metrics import lpips
from metaf2n_tf.networks import discriminator, masknet, rrdbnet


class TrainingState(NamedTuple):
    """Everything that a meta-step changes; float32."""

    generator: Params  # SR network and MaskNet
    discriminator: Params  # with the vectors `u`
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


def initial_state(generator: Params, discriminator_params: Params) -> TrainingState:
    """The state before the first step.

    Args:
      generator: SR network's and MaskNet's weights.
      discriminator_params: with the vectors `u`.
    """
    generator, discriminator_params = (
        {name: tf.convert_to_tensor(value) for name, value in params.items()}
        for params in (generator, discriminator_params)
    )
    return TrainingState(
        generator,
        discriminator_params,
        adam.initial_state(generator),
        adam.initial_state(discriminator.trained(discriminator_params)),
    )


def _split(generator: Params) -> tuple[Params, Params]:
    """The SR network's and MaskNet's variables."""
    return tuple(
        {name: value for name, value in generator.items() if name.startswith(f"{scope}/")}
        for scope in (rrdbnet.SCOPE, masknet.SCOPE)
    )


def _in_bfloat16(forward: Forward) -> Forward:
    """`forward` computed in bfloat16; parameters, images and the result are float32, and so are all gradients."""

    def mixed(params: Params, images: tf.Tensor) -> tf.Tensor:
        params = {name: tf.cast(value, tf.bfloat16) for name, value in params.items()}
        return tf.cast(forward(params, tf.cast(images, tf.bfloat16)), tf.float32)

    return mixed


@dataclass(frozen=True, eq=False)
class MetaStep:
    """How meta-steps are computed.

    meta_batch_size: tasks of a whole meta-batch (META_BATCH_SIZE); task_lr, task_iter: of the inner loop; meta_lr,
    discriminator_lr: of the two Adam optimizers; decay_step_weights: whether MZSR's weights of the inner steps move
    on with the step number; first_order: no gradient through the inner gradient; recompute_blocks: keep the inputs of
    RRDB blocks only, less memory for more time; mixed_precision: SR network and discriminator in bfloat16;
    xla: compile each function to one XLA program.
    """

    lpips_params: Params
    meta_batch_size: int
    task_lr: float
    task_iter: int
    meta_lr: float
    discriminator_lr: float
    decay_step_weights: bool = True
    first_order: bool = False
    recompute_blocks: bool = False
    mixed_precision: bool = False
    xla: bool = True

    @functools.cached_property
    def _super_resolve(self) -> Forward:
        # Not rrdbnet.BLOCK: its second-order gradient needs twice the memory, and XLA takes the weights in it for
        # constants, which means compiling at every step.
        block = recompute(rrdbnet.block, self.xla) if self.recompute_blocks else rrdbnet.block
        forward = functools.partial(rrdbnet.forward, run_block=block)
        return _in_bfloat16(forward) if self.mixed_precision else forward

    @functools.cached_property
    def _judge(self) -> Forward:
        return _in_bfloat16(discriminator.forward) if self.mixed_precision else discriminator.forward

    def _outer_terms(self, task: MetaBatch, output: tf.Tensor, logits: tf.Tensor, weight_map: tf.Tensor) -> OuterTerms:
        return OuterTerms(
            l1=tf.reduce_mean(tf.abs(task.labelb - output)),
            lpips=tf.reduce_mean(lpips.distance(self.lpips_params, task.labelb, output)),
            gan=losses.real_loss(logits),
            mask=losses.mask_term(weight_map),
        )

    def task_gradients(self, generator: Params, judge: Params, task: MetaBatch, step: tf.Tensor | int) -> Gradients:
        """Losses and gradients of one task, (B, ...), not divided by anything.

        Args:
          generator: SR network's and MaskNet's weights.
          judge: the discriminator's, with the vectors `u`.
          task: one task of a meta-batch.
          step: number of the meta-step, from 0.
        """
        trained = discriminator.trained(judge)
        with (
            tf.GradientTape(watch_accessed_variables=False) as judge_tape,
            tf.GradientTape(watch_accessed_variables=False) as tape,
        ):
            judge_tape.watch(trained)
            tape.watch(generator)
            normalized, _ = discriminator.normalize(judge)
            adapted = adapt(
                *_split(generator),
                task.inputa,
                task.labela,
                self.task_lr,
                self.task_iter,
                self.first_order,
                self._super_resolve,
            )
            outputs = [self._super_resolve(params, task.inputb) for params in adapted.params]
            logits = [self._judge(normalized, output) for output in outputs]
            terms = [
                self._outer_terms(task, output, logit, adapted.weight_map)
                for output, logit in zip(outputs, logits, strict=True)
            ]
            outer = tf.stack([term.total() for term in terms])
            weighted = tf.reduce_mean(
                losses.step_weights(step if self.decay_step_weights else 0, self.task_iter) * outer
            )
            real = losses.real_loss(self._judge(normalized, task.labelb_nousm))
            judged = [real + losses.fake_loss(logit) for logit in logits]
        return Gradients(
            generator=tape.gradient(weighted, generator),
            discriminator=judge_tape.gradient(judged[-1], trained),
            losses=Losses(
                inner=adapted.losses[0],
                outer=outer,
                l1=tf.stack([term.l1 for term in terms]),
                lpips=tf.stack([term.lpips for term in terms]),
                gan=tf.stack([term.gan for term in terms]),
                discriminator=tf.stack(judged),
                weighted=weighted,
                weight_map=tf.reduce_mean(adapted.weight_map),
            ),
            weight_range=tf.stack([tf.reduce_min(adapted.weight_map), tf.reduce_max(adapted.weight_map)]),
            pictures=Pictures(adapted.weight_map, outputs[-1]),
        )

    def _over_tasks(self, one_task: Callable[[MetaBatch], Gradients], batch: MetaBatch) -> Gradients:
        """Task after task in a loop that carries the sums; backwards, so that the first one's pictures remain."""
        tasks = batch.inputa.shape[0]

        def take(index: tf.Tensor | int) -> MetaBatch:
            return MetaBatch(*(tensor[index] for tensor in batch))

        shapes = one_task.get_concrete_function(take(0)).structured_outputs
        zeros = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), shapes)
        start = zeros._replace(weight_range=tf.constant([float("inf"), float("-inf")]))

        def add(index: tf.Tensor, total: Gradients) -> tuple[tf.Tensor, Gradients]:
            one = one_task(take(tasks - 1 - index))
            generator, judge, summed = tf.nest.map_structure(
                lambda a, b: a + b / self.meta_batch_size, total[:3], one[:3]
            )
            low, high = tf.unstack(total.weight_range)
            weight_range = tf.stack([tf.minimum(low, one.weight_range[0]), tf.maximum(high, one.weight_range[1])])
            return index + 1, Gradients(generator, judge, summed, weight_range, one.pictures)

        return tf.while_loop(
            lambda index, _: index < tasks,
            add,
            (tf.constant(0), start),
            parallel_iterations=1,
            maximum_iterations=tasks,
        )[1]

    def unadapted(self, state: TrainingState, batch: MetaBatch) -> Unadapted:
        """The outer loss of the tasks given without any inner step: (tasks, B, ...); nothing is kept for gradients."""
        sr, mask = _split(state.generator)
        normalized, _ = discriminator.normalize(state.discriminator)

        def one_task(task: MetaBatch) -> tuple[tf.Tensor, ...]:
            output = self._super_resolve(sr, task.inputb)
            weight_map = predict_weight_map(mask, task.inputa, task.labela)
            terms = self._outer_terms(task, output, self._judge(normalized, output), weight_map)
            return terms.total(), terms.l1, terms.lpips, terms.gan, output

        types = (tf.float32,) * len(Unadapted._fields)
        *terms, outputs = tf.map_fn(one_task, batch, parallel_iterations=1, fn_output_signature=types)
        return Unadapted(*(tf.reduce_mean(term) for term in terms), outputs[0])

    def gradients(self, state: TrainingState, batch: MetaBatch, step: tf.Tensor | int) -> Gradients:
        """Gradients of the tasks given, which may be a part of the meta-batch: (its tasks, B, ...)."""
        one_task = tf.function(
            lambda task: self.task_gradients(state.generator, state.discriminator, task, step), autograph=False
        )
        return self._over_tasks(one_task, batch)

    def apply(self, state: TrainingState, gradients: Gradients) -> tuple[TrainingState, Report]:
        """Update both networks with the gradients of a whole meta-batch, or neither where one of them is not finite."""
        norms = tf.linalg.global_norm([*gradients.generator.values(), *gradients.discriminator.values()])
        finite = tf.math.is_finite(norms + gradients.losses.weighted + gradients.losses.discriminator[-1])

        def updated() -> TrainingState:
            generator, generator_adam = adam.update(
                state.generator, gradients.generator, state.generator_adam, self.meta_lr
            )
            _, advanced = discriminator.normalize(state.discriminator)
            judge, judge_adam = adam.update(
                state.discriminator, gradients.discriminator, state.discriminator_adam, self.discriminator_lr
            )
            return TrainingState(generator, judge | advanced, generator_adam, judge_adam)

        def unchanged() -> TrainingState:
            return tf.nest.map_structure(tf.identity, state)

        report = Report(gradients.losses, gradients.weight_range, gradients.pictures, finite)
        return tf.cond(finite, updated, unchanged), report

    @functools.cached_property
    def compiled(self) -> Callable[[TrainingState, MetaBatch, tf.Tensor], tuple[TrainingState, Report]]:
        """A whole meta-step, `(state, batch, step) -> (new state, report)`, as one program."""

        def meta_step(state: TrainingState, batch: MetaBatch, step: tf.Tensor) -> tuple[TrainingState, Report]:
            return self.apply(state, self.gradients(state, batch, step))

        return self.compile(meta_step)

    @functools.cached_property
    def compiled_unadapted(self) -> Callable[[TrainingState, MetaBatch], Unadapted]:
        """`unadapted` as one program."""
        return self.compile(self.unadapted)

    def compile(self, function: Callable) -> Callable:
        """A function of tensors as one program, under XLA if that is asked for."""
        return tf.function(function, jit_compile=self.xla, autograph=False)
