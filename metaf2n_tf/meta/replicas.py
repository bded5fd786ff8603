"""Meta-steps on one device or several, in one process or several: the tasks of a meta-batch are shared out.

Every replica computes the gradients of its own tasks; their sum over all replicas updates the same weights everywhere.
"""

import os
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from metaf2n_tf.data import strict_json
from metaf2n_tf.data.meta_batches import MetaBatch
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.meta.meta_step import Gradients, MetaStep, Report, TrainingState, Unadapted

_Value = TypeVar("_Value")


def choose_strategy() -> tf.distribute.Strategy:
    """All machines that TF_CONFIG names, else all local GPUs, else one device; to be called before TensorFlow is used.

    Raises:
      UserError: TF_CONFIG cannot be understood.
    """
    try:
        cluster = strict_json.loads(os.environ.get("TF_CONFIG") or "{}", {"cluster?": {str: object}}).get("cluster", {})
        processes = sum(len(cluster.get(job, ())) for job in ("chief", "worker"))
        if processes > 1:
            return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise UserError(f"TF_CONFIG is not what tf.distribute takes: {error}") from None
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


def _process(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Which process this is, of how many."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 0, 1
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = len(jobs.get("chief", ())), len(jobs.get("worker", ()))
    return resolver.task_id + (chiefs if resolver.task_type == "worker" else 0), chiefs + workers


class Replicas:
    """Runs a `MetaStep` on the replicas of a strategy.

    process, processes: which process this is, of how many; the first one writes checkpoints and logs. tasks: how many
    of a meta-batch's tasks this process makes and computes.
    """

    def __init__(self, meta_step: MetaStep, strategy: tf.distribute.Strategy):
        """Raises a UserError where the tasks cannot be shared out evenly."""
        self._meta_step, self._strategy = meta_step, strategy
        self.count = strategy.num_replicas_in_sync
        self.process, self.processes = _process(strategy)
        tasks = meta_step.method.meta_batch_size
        if tasks % self.count:
            raise UserError(
                f"META_BATCH_SIZE = {tasks} cannot be shared out evenly over {self.count} devices. "
                "Remedy: another META_BATCH_SIZE, or fewer devices with ",
                Argument("gpu"),
            )
        self.tasks = tasks // self.processes
        if self.count == 1:
            self._step, self._unadapted = meta_step.compiled, meta_step.compiled_unadapted
        else:
            self._step, self._unadapted = self._distributed_step(), self._distributed_unadapted()

    def _on_all(self, replica: Callable) -> Callable:
        """`replica` on every replica, as one function; its arguments must lie on the replicas' devices already."""

        def run(*arguments: object) -> object:
            return self._strategy.run(replica, arguments)

        return tf.function(run, autograph=False)

    def _distributed_step(self) -> Callable:
        gradients = self._meta_step.compile(self._meta_step.gradients)
        apply = self._meta_step.compile(self._meta_step.apply)

        def replica(state: TrainingState, batch: MetaBatch, step: tf.Tensor) -> tuple[TrainingState, Report]:
            return apply(state, _sum_over_replicas(gradients(state, batch, step)), step)

        return self._on_all(replica)

    def _distributed_unadapted(self) -> Callable:
        unadapted = self._meta_step.compiled_unadapted

        def replica(state: TrainingState, batch: MetaBatch) -> Unadapted:
            *terms, outputb = unadapted(state, batch)
            context = tf.distribute.get_replica_context()
            return Unadapted._make([*context.all_reduce(tf.distribute.ReduceOp.MEAN, terms), outputb])

        return self._on_all(replica)

    def _distribute(self, here: Callable[[int], _Value]) -> _Value:
        """Values `here(0)`, `here(1)`, ... on the replicas of this process, each copied to its device."""
        devices = self._strategy.extended.worker_devices

        def value(context: tf.distribute.experimental.ValueContext) -> _Value:
            index = context.replica_id_in_sync_group % len(devices)
            with tf.device(devices[index]):
                return tf.nest.map_structure(tf.identity, here(index))

        return self._strategy.experimental_distribute_values_from_function(value)

    def place(self, state: TrainingState) -> TrainingState:
        """A state on every replica."""
        state = tf.nest.map_structure(tf.convert_to_tensor, state)
        return state if self.count == 1 else self._distribute(lambda _: state)

    def _share_out(self, batch: MetaBatch) -> MetaBatch:
        """The tasks of this process over its replicas."""
        if self.count == 1:
            return batch
        share = self.tasks * self.processes // self.count
        return self._distribute(
            lambda index: MetaBatch(*(tensor[index * share : (index + 1) * share] for tensor in batch))
        )

    def first(self, value: _Value) -> _Value:
        """What the first replica of this process has of a result, state or report."""
        if self.count == 1:
            return value
        return tf.nest.map_structure(lambda leaf: self._strategy.experimental_local_results(leaf)[0], value)

    def step(self, state: TrainingState, batch: MetaBatch, step: int) -> tuple[TrainingState, Report]:
        """A meta-step: the new state, on every replica, and the first replica's report.

        Args:
          state: of `place`, or of the last step.
          batch: the tasks of this process, (`tasks`, B, ...).
          step: its number, from 0.
        """
        number = tf.constant(step) if self.count == 1 else self._distribute(lambda _: tf.constant(step))
        state, report = self._step(state, self._share_out(batch), number)
        return state, self.first(report)

    def unadapted(self, state: TrainingState, batch: MetaBatch) -> Unadapted:
        """The outer loss of the whole meta-batch without inner steps."""
        return self.first(self._unadapted(state, self._share_out(batch)))

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all of them must ask."""
        if self.processes == 1:
            return flag
        flags = self._distribute(lambda _: tf.constant(float(flag)))
        return bool(self._strategy.reduce(tf.distribute.ReduceOp.SUM, flags, axis=None) > 0)

    def agree(self, number: int) -> bool:
        """Whether all processes have the same number, below 2^31; all of them must ask."""
        if self.processes == 1:
            return True
        numbers = self._distribute(lambda _: tf.constant([number]))
        gathered = self._strategy.gather(numbers, axis=0)
        return bool(tf.reduce_all(gathered == number))


def _sum_over_replicas(gradients: Gradients) -> Gradients:
    context = tf.distribute.get_replica_context()
    summed = gradients[:3]
    flat = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.nest.flatten(summed))
    ranges = context.all_gather(gradients.weight_range[None], axis=0)
    weight_range = tf.stack([tf.reduce_min(ranges[:, 0]), tf.reduce_max(ranges[:, 1])])
    return Gradients._make([*tf.nest.pack_sequence_as(summed, flat), weight_range, gradients.pictures])
