"""Meta-batches out of two TFRecord sets (MetaF2N's `DataGenerator.py`): read, degraded, restored, cropped in advance.

Every batch is a function of the seed and the step number alone: records are taken in a pseudo-random order that needs
no buffer, and all draws have seeds of their own. So training resumes at any step, at no cost, with the same batches.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import tensorflow as tf

from metaf2n_tf import places
from metaf2n_tf.data.degradation import SMALLEST, degrade, draw_parameters
from metaf2n_tf.data.operations.usm import sharpen
from metaf2n_tf.data.tfrecords.crops import gradient_energy
from metaf2n_tf.data.tfrecords.records import NOT_OF_THE_SET, RecordSet
from metaf2n_tf.errors import UserError, first_line
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.networks.typed import static_shape

MIN_LOG_GRADIENT = -6.0  # of a restored face patch that is taken at once
MAX_FACE_CROPS = 6  # the last is taken whatever it shows
_FOREVER = 2**62
_SHUFFLE_ROUNDS = 12
_LAST_SECONDS = 5.0

# The stub has it take and give plain ints, which it does not.
_fold_in: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = tf.random.fold_in  # pyright: ignore[reportAssignmentType]

# LQ faces, uint8 (N, s, s, 3), to restored faces, uint8 (N, 4s, 4s, 3); a function of tensors. None: a perfect one,
# which gives the faces as they were before they were degraded.
BatchRestorer = Callable[[tf.Tensor], tf.Tensor] | None


class MetaBatch(NamedTuple):
    """T tasks of B pairs, float32 RGB in [0, 1], under the published names.

    p: side of the face patches, q: of the background patches.
    """

    inputa: tf.Tensor  # LQ face, (T, B, p/4, p/4, 3)
    labela: tf.Tensor  # the restored face, (T, B, p, p, 3)
    inputb: tf.Tensor  # LQ background, (T, B, q/4, q/4, 3)
    labelb: tf.Tensor  # the background that inputb is made of, sharpened or not, (T, B, q, q, 3)
    labela_gt: tf.Tensor  # the face itself, (T, B, p, p, 3)
    labelb_nousm: tf.Tensor  # the background itself, (T, B, q, q, 3)


class _Task(NamedTuple):
    """A task before its faces are restored: whole faces, background patches already cut and flipped."""

    lq_faces: tf.Tensor  # uint8 (B, s/4, s/4, 3)
    faces: tf.Tensor  # uint8 (B, s, s, 3)
    face_corners: tf.Tensor  # int32 (B, MAX_FACE_CROPS, 2), LQ pixels, in the order in which they are tried
    flipped: tf.Tensor  # bool (B,)
    inputb: tf.Tensor
    labelb: tf.Tensor
    labelb_nousm: tf.Tensor


@dataclass(frozen=True)
class Shape:
    """What a meta-batch holds: tasks, pairs a task, sides of the HQ patches in pixels.

    sharpened: LQ backgrounds are made of sharpened ones, as published; else of the pictures as they are, and labelb is
    labelb_nousm; shared_noise: the noise of a task's pictures is equally strong, as in the parts of one photo; else of
    any strength in each, as published.
    """

    tasks: int
    pairs: int
    face_patch: int
    background_patch: int
    sharpened: bool = True
    shared_noise: bool = False

    @classmethod
    def of(cls, config: SimpleNamespace) -> "Shape":
        """The shape that the values of `config.py` describe."""
        sides, sharpened = (config.HEIGHT, config.HEIGHT1), config.OUTER_TARGET == "sharpened"
        return cls(config.META_BATCH_SIZE, config.TASK_BATCH_SIZE, *sides, sharpened, config.SHARED_NOISE)


def _draw_corners(seed: tf.Tensor, shape: tuple[int, ...], side: int, patch: int) -> tf.Tensor:
    """Corners of LQ patches, int32 (*shape, 2); every position may be drawn, the last ones too."""
    positions = (side - patch) // SCALE + 1
    return tf.random.stateless_uniform((*shape, 2), seed, 0, positions, tf.int32)


def _crop(pictures: tf.Tensor, corners: tf.Tensor, size: int) -> tf.Tensor:
    """Squares of (N, H, W, ...) at int32 (N, 2) corners."""
    rows, columns = (corners[:, axis, None] + tf.range(size) for axis in (0, 1))
    return tf.gather(tf.gather(pictures, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def _flip(pictures: tf.Tensor, flipped: tf.Tensor) -> tf.Tensor:
    return tf.where(flipped[:, None, None, None], pictures[:, :, ::-1], pictures)


def _as_unit(levels: tf.Tensor) -> tf.Tensor:
    return tf.cast(levels, tf.float32) / 255.0


def _to_planes(pictures: tf.Tensor) -> tf.Tensor:
    return tf.transpose(pictures, [0, 3, 1, 2])


def _from_planes(planes: tf.Tensor) -> tf.Tensor:
    return tf.transpose(planes, [0, 2, 3, 1])


def make_task(seed: tf.Tensor, faces: tf.Tensor, backgrounds: tf.Tensor, shape: Shape) -> _Task:
    """Degrade the pictures of one task with one set of parameters, and cut its backgrounds.

    Args:
      seed: int32 (2,).
      faces, backgrounds: uint8 (B, S, S, 3), S static.
      shape: of the meta-batch.
    """
    parameter_seed, face_seed, background_seed, corner_seed, face_corner_seed, flip_seed = tf.unstack(
        tf.random.split(seed, 6)
    )
    parameters = draw_parameters(parameter_seed)
    noise = _fold_in(parameter_seed, tf.constant(1)) if shape.shared_noise else None
    planes = _to_planes(_as_unit(backgrounds))
    if shape.sharpened:
        planes = sharpen(planes)
    lq_backgrounds = _from_planes(degrade(planes, parameters, background_seed, shared_noise=noise))
    lq_faces = _from_planes(degrade(_to_planes(_as_unit(faces)), parameters, face_seed, shared_noise=noise))

    flipped = tf.random.stateless_uniform([shape.pairs], flip_seed) < 0.5
    corners = _draw_corners(corner_seed, (shape.pairs,), static_shape(backgrounds)[1], shape.background_patch)

    def cut(pictures: tf.Tensor, scale: int) -> tf.Tensor:
        return _flip(_crop(pictures, scale * corners, scale * shape.background_patch // SCALE), flipped)

    return _Task(
        lq_faces=lq_faces,
        faces=faces,
        face_corners=_draw_corners(
            face_corner_seed, (shape.pairs, MAX_FACE_CROPS), static_shape(faces)[1], shape.face_patch
        ),
        flipped=flipped,
        inputb=_as_unit(cut(lq_backgrounds, 1)),
        labelb=cut(_from_planes(planes), SCALE),
        labelb_nousm=_as_unit(cut(backgrounds, SCALE)),
    )


def choose_corners(restored: tf.Tensor, corners: tf.Tensor, patch: int) -> tf.Tensor:
    """The first corner of each face whose patch has texture, else the last.

    Args:
      restored: uint8 (N, S, S, 3).
      corners: int32 (N, K, 2), LQ pixels.
      patch: side of the HQ patches.

    Returns:
      int32 (N, 2).
    """
    trials = static_shape(corners)[1]
    energy = tf.reduce_mean(gradient_energy(_as_unit(restored)), axis=-1)
    means = tf.stack(
        [tf.reduce_mean(_crop(energy, SCALE * corners[:, trial], patch - 1), axis=[1, 2]) for trial in range(trials)],
        axis=1,
    )
    textured = tf.math.log(means + 1e-10) >= MIN_LOG_GRADIENT
    last = tf.one_hot([trials - 1], trials, True, False)
    return tf.gather(corners, tf.argmax(tf.cast(textured | last, tf.int32), axis=1), batch_dims=1)


def finish_batch(tasks: _Task, restore: BatchRestorer, shape: Shape) -> MetaBatch:
    """Restore the LQ faces of all tasks at once, and cut them."""
    lq_faces, faces, corners, flipped = (
        tf.reshape(tensor, [-1, *tensor.shape[2:]])
        for tensor in (tasks.lq_faces, tasks.faces, tasks.face_corners, tasks.flipped)
    )
    restored = faces if restore is None else restore(lq_faces)
    chosen = choose_corners(restored, corners, shape.face_patch)

    def cut(pictures: tf.Tensor, scale: int) -> tf.Tensor:
        patches = _flip(_crop(pictures, scale * chosen, scale * shape.face_patch // SCALE), flipped)
        return tf.reshape(_as_unit(patches), [tasks.inputb.shape[0], shape.pairs, *patches.shape[1:]])

    return MetaBatch(
        inputa=cut(lq_faces, 1),
        labela=cut(restored, SCALE),
        inputb=tasks.inputb,
        labelb=tasks.labelb,
        labela_gt=cut(faces, SCALE),
        labelb_nousm=tasks.labelb_nousm,
    )


def _shuffled(indices: tf.data.Dataset, count: int, seed: int) -> tf.data.Dataset:
    """Positions in a set of `count` records for int64 `indices`: each epoch has an order of its own and omits none."""

    def position(index: tf.Tensor) -> tf.Tensor:
        # The cipher takes few bits of its key and, at its default of 4 rounds, leaves the orders of similar keys alike.
        epoch = _fold_in(tf.constant([seed, 1], tf.int64), index // count)
        key = tf.random.stateless_uniform([3], epoch, 0, 2**31 - 1, tf.int32)
        return tf.raw_ops.RandomIndexShuffle(
            index=tf.math.floormod(index, count), seed=key, max_index=count - 1, rounds=_SHUFFLE_ROUNDS
        )

    return indices.map(position)


def _check_side(what: str, opened: RecordSet, patch: int) -> None:
    if opened.side < SMALLEST or opened.side % SCALE:
        raise UserError(
            f"{opened.shards[0]}: squares of {opened.side} pixels; they must be a multiple of {SCALE} and at least "
            f"{SMALLEST}"
        )
    if patch > opened.side or patch % SCALE:
        raise UserError(f"{what} patches of {patch} pixels: must be a multiple of {SCALE} and at most {opened.side}")


def task_dataset(
    faces: RecordSet,
    backgrounds: RecordSet,
    shape: Shape,
    seed: int = 0,
    first_step: int = 0,
    workers: int = tf.data.AUTOTUNE,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """`_Task`s of whole meta-batches, (T, ...) each, from `first_step` on; all of it outside Python.

    Args:
      faces, backgrounds: opened sets.
      shape: of the meta-batch.
      seed: another one, other batches.
      first_step: number of the first batch.
      workers: tasks made at a time; the result does not depend on it.
      share: (i, n): only the i-th of n equal parts of every meta-batch, T / n tasks.

    Raises:
      UserError: crops or patches of sizes that do not go together.
    """
    _check_side("face", faces, shape.face_patch)
    _check_side("background", backgrounds, shape.background_patch)
    part, parts = share
    tasks_here = shape.tasks // parts

    def indices_of(size: int) -> tf.data.Dataset:
        """Indices of what each task has `size` of, task after task."""
        first, block, here = first_step * shape.tasks * size, shape.tasks * size, tasks_here * size
        if parts == 1:
            return tf.data.Dataset.range(first, _FOREVER)
        steps = tf.data.Dataset.range(first_step, _FOREVER // block)
        return steps.flat_map(
            lambda step: tf.data.Dataset.range(step * block + part * here, step * block + (part + 1) * here)
        )

    def pictures(opened: RecordSet, set_seed: int) -> tf.data.Dataset:
        positions = _shuffled(indices_of(shape.pairs), opened.count, set_seed)
        return opened.read(positions, workers).batch(shape.pairs, drop_remainder=True)

    def make(index: tf.Tensor, faces: tf.Tensor, backgrounds: tf.Tensor) -> _Task:
        return make_task(_fold_in(tf.constant([seed, 0]), tf.cast(index, tf.int32)), faces, backgrounds, shape)

    zipped = tf.data.Dataset.zip((indices_of(1), pictures(faces, 2 * seed), pictures(backgrounds, 2 * seed + 1)))
    tasks = zipped.map(make, num_parallel_calls=workers, deterministic=True)
    return tasks.batch(tasks_here, drop_remainder=True).prefetch(1)


def _readable(tasks: tf.data.Dataset) -> Iterator[_Task]:
    """The dataset's elements; damage is a UserError."""
    try:
        yield from tasks
    except (tf.errors.OpError, *NOT_OF_THE_SET) as error:
        raise UserError(
            f"the training data cannot be read: {first_line(error)}. Remedy: look for the damage with "
            f"{places.command('tfrecord')} --verify"
        ) from error


class MetaBatches:
    """An endless iterator of `MetaBatch`es that are made ahead of use; `close` it, or use it in a `with` block.

    Reading and degrading run in tf.data; restoring and cutting are one compiled function, on the accelerator if there
    is one, called from a thread of its own.
    """

    def __init__(self, tasks: tf.data.Dataset, restore: BatchRestorer, shape: Shape, ahead: int = 2):
        """Start making batches.

        Args:
          tasks: of `task_dataset`.
          restore: restores LQ faces.
          shape: of the meta-batch.
          ahead: finished batches that wait at most.
        """
        self._finish = tf.function(lambda tasks: finish_batch(tasks, restore, shape), autograph=False)
        self._ready = queue.Queue(ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._produce, args=(tasks,), daemon=True)
        self._thread.start()

    def _produce(self, tasks: tf.data.Dataset) -> None:
        try:
            for batch in _readable(tasks):
                self._put(self._finish(batch))
                if self._closed.is_set():
                    return
            self._put(StopIteration())
        except tf.errors.InvalidArgumentError as error:
            self._put(UserError(first_line(error)))
        except Exception as error:  # it is the reader's to handle
            self._put(error)

    def _put(self, item: MetaBatch | Exception) -> None:
        while not self._closed.is_set():
            try:
                return self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def __iter__(self) -> "MetaBatches":
        return self

    def __next__(self) -> MetaBatch:
        """The next batch.

        Raises:
          UserError: a record is damaged, or the restorer's output is not finite.
          StopIteration: after `close`, or when the tasks are at an end.
        """
        if self._closed.is_set():
            raise StopIteration
        item = self._ready.get()
        if isinstance(item, Exception):
            self._ready.put(item)  # nothing else comes: whoever asks again is told again
            raise item
        return item

    def close(self) -> None:
        """Stop making batches; one that is being made is not waited for long."""
        self._closed.set()
        self._thread.join(_LAST_SECONDS)

    def __enter__(self) -> "MetaBatches":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
