"""The degradation of training pictures: Real-ESRGAN's two stages, as MetaF2N's `DataGenerator.py` runs them.

One set of `Parameters` is drawn a task and shared by its pictures; strength and colour of the noise are drawn a picture
and stage. Everything is a function of its seed.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from metaf2n_tf.data.operations.blur_kernels import bivariate, circular_lowpass, pulse
from metaf2n_tf.data.operations.filter2d import filter2d
from metaf2n_tf.data.operations.jpeg import jpeg
from metaf2n_tf.data.operations.noise import gaussian_noise, poisson_noise
from metaf2n_tf.data.operations.resize import MODES, resize_by, resize_to
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.networks.typed import static_shape

SMALLEST = 80  # pixels: at the least scale of the first stage, less is too small for the border of a 21x21 filter

KERNEL_SIZES = (7, 9, 11, 13, 15, 17, 19, 21)
SINC_PROB, FINAL_SINC_PROB, SECOND_BLUR_PROB, SINC_BEFORE_JPEG_PROB = 0.1, 0.8, 0.8, 0.5


@dataclass(frozen=True)
class _KernelKind:
    """A kind of blur kernel: how often it is drawn, and from where its beta (1: a Gaussian)."""

    prob: float
    isotropic: bool
    plateau: bool = False
    beta: tuple[float, float] = (1.0, 1.0)


_GENERALIZED, _PLATEAU = (0.5, 4.0), (1.0, 2.0)
KERNEL_KINDS = (
    _KernelKind(0.45, isotropic=True),
    _KernelKind(0.25, isotropic=False),
    _KernelKind(0.12, isotropic=True, beta=_GENERALIZED),
    _KernelKind(0.03, isotropic=False, beta=_GENERALIZED),
    _KernelKind(0.12, isotropic=True, plateau=True, beta=_PLATEAU),
    _KernelKind(0.03, isotropic=False, plateau=True, beta=_PLATEAU),
)


@dataclass(frozen=True)
class Stage:
    """The ranges and probabilities of one stage.

    sigma: of the blur, pixels; resize_probs: up, down, keep; resize_range: least and largest scale; gaussian_prob: of
    Gaussian noise, else Poisson; gaussian_sigma: levels of 255; poisson_scale; gray_prob: of gray noise; jpeg_quality.
    """

    sigma: tuple[float, float]
    resize_probs: tuple[float, float, float]
    resize_range: tuple[float, float]
    gaussian_sigma: tuple[float, float]
    poisson_scale: tuple[float, float]
    gaussian_prob: float = 0.5
    gray_prob: float = 0.4
    jpeg_quality: tuple[float, float] = (30.0, 95.0)


STAGES = (
    Stage((0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), gaussian_sigma=(1.0, 30.0), poisson_scale=(0.05, 3.0)),
    Stage((0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), gaussian_sigma=(1.0, 25.0), poisson_scale=(0.05, 2.5)),
)


class StageParameters(NamedTuple):
    """What is drawn for one stage of a task; scalars but for the kernel."""

    kernel: tf.Tensor  # float32 (21, 21)
    blurred: tf.Tensor  # bool
    scale: tf.Tensor  # float64; of the picture in stage 1, of its quarter in stage 2
    mode: tf.Tensor  # int32, index into MODES
    gaussian: tf.Tensor  # bool: Gaussian noise, else Poisson
    quality: tf.Tensor  # float32, of the JPEG


class Parameters(NamedTuple):
    """What is drawn for a task."""

    first: StageParameters
    second: StageParameters
    sinc: tf.Tensor  # float32 (21, 21)
    final_mode: tf.Tensor  # int32: of the resize to the final size
    sinc_before_jpeg: tf.Tensor  # bool: final resize and sinc come before the last JPEG, else after it


class _Draws:
    """A supply of uniform numbers from one seed."""

    def __init__(self, seed: tf.Tensor, count: int = 48):
        self._numbers = iter(tf.unstack(tf.random.stateless_uniform([count], seed, dtype=tf.float64)))

    def uniform(self, low: float | tf.Tensor, high: float | tf.Tensor) -> tf.Tensor:
        """float64 in [low, high)."""
        return low + (high - low) * next(self._numbers)

    def happens(self, prob: float) -> tf.Tensor:
        """True with this probability."""
        return next(self._numbers) < prob

    def choose(self, probs: tuple[float, ...]) -> tf.Tensor:
        """An index, int32, each with its probability."""
        below = tf.constant([sum(probs[: index + 1]) for index in range(len(probs) - 1)], tf.float64)
        return tf.reduce_sum(tf.cast(next(self._numbers) >= below, tf.int32))

    def choose_evenly(self, count: int) -> tf.Tensor:
        """An index below `count`, int32."""
        return self.choose((1 / count,) * count)


def _draw_size(draws: _Draws) -> tf.Tensor:
    return tf.gather(KERNEL_SIZES, draws.choose_evenly(len(KERNEL_SIZES)))


def _draw_kernel(draws: _Draws, sigma: tuple[float, float]) -> tf.Tensor:
    """Sinc, or one of the kinds of blur. Half of the betas lie below 1, so half of the plateaus have exactly 1."""
    size = _draw_size(draws)
    sinc = draws.happens(SINC_PROB)
    cutoff = draws.uniform(tf.where(size < 13, tf.constant(math.pi / 3, tf.float64), math.pi / 5), math.pi)
    kind = draws.choose(tuple(kind.prob for kind in KERNEL_KINDS))
    isotropic, plateau = (
        tf.gather([getattr(kind, name) for kind in KERNEL_KINDS], kind) for name in ("isotropic", "plateau")
    )
    least, largest = tf.unstack(tf.gather(tf.constant([kind.beta for kind in KERNEL_KINDS], tf.float64), kind))
    beta = tf.where(draws.happens(0.5), draws.uniform(least, 1.0), draws.uniform(1.0, largest))
    sigma_x, sigma_y, theta = draws.uniform(*sigma), draws.uniform(*sigma), draws.uniform(-math.pi, math.pi)
    blur = bivariate(
        size, sigma_x, tf.where(isotropic, sigma_x, sigma_y), tf.where(isotropic, 0.0 * theta, theta), beta, plateau
    )
    return tf.where(sinc, circular_lowpass(size, cutoff), blur)


def _draw_scale(draws: _Draws, stage: Stage) -> tf.Tensor:
    least, largest = stage.resize_range
    scales = [draws.uniform(1.0, largest), draws.uniform(least, 1.0), tf.constant(1.0, tf.float64)]
    return tf.gather(tf.stack(scales), draws.choose(stage.resize_probs))


def _draw_stage(draws: _Draws, stage: Stage, blur_prob: float) -> StageParameters:
    return StageParameters(
        kernel=_draw_kernel(draws, stage.sigma),
        blurred=draws.happens(blur_prob),
        scale=_draw_scale(draws, stage),
        mode=draws.choose_evenly(len(MODES)),
        gaussian=draws.happens(stage.gaussian_prob),
        quality=tf.cast(draws.uniform(*stage.jpeg_quality), tf.float32),
    )


def draw_parameters(seed: tf.Tensor, stages: tuple[Stage, Stage] = STAGES) -> Parameters:
    """Draw what the pictures of one task share.

    Args:
      seed: int32 (2,).
      stages: ranges and probabilities.
    """
    draws = _Draws(seed)
    first = _draw_stage(draws, stages[0], blur_prob=1.0)
    second = _draw_stage(draws, stages[1], blur_prob=SECOND_BLUR_PROB)
    sinc = circular_lowpass(_draw_size(draws), draws.uniform(math.pi / 3, math.pi))
    return Parameters(
        first,
        second,
        sinc=tf.where(draws.happens(FINAL_SINC_PROB), sinc, pulse()),
        final_mode=draws.choose_evenly(len(MODES)),
        sinc_before_jpeg=draws.happens(SINC_BEFORE_JPEG_PROB),
    )


def _add_noise(
    planes: tf.Tensor, stage: Stage, gaussian: tf.Tensor, seed: tf.Tensor, shared: tf.Tensor | None = None
) -> tf.Tensor:
    """`shared`: seed of what all pictures then have in common, see `degrade`."""
    strength_seed, gray_seed, noise_seed = tf.unstack(tf.random.split(seed, 3))
    count = tf.shape(planes)[:1]
    if shared is None:
        strength, chance = (tf.random.stateless_uniform(count, own) for own in (strength_seed, gray_seed))
    else:
        strength, chance = (tf.fill(count, one) for one in tf.unstack(tf.random.stateless_uniform([2], shared)))
    gray = chance < stage.gray_prob

    def draw(function, low_high):
        low, high = low_high
        return function(planes, noise_seed, low + (high - low) * strength, gray)

    noise = tf.cond(
        gaussian,
        lambda: draw(gaussian_noise, stage.gaussian_sigma),
        lambda: draw(poisson_noise, stage.poisson_scale),
    )
    return tf.clip_by_value(planes + noise, 0.0, 1.0)


def degrade(
    planes: tf.Tensor,
    parameters: Parameters,
    seed: tf.Tensor,
    stages: tuple[Stage, Stage] = STAGES,
    shared_noise: tf.Tensor | None = None,
) -> tf.Tensor:
    """Blur, resize, noise, JPEG, and the same again, down to a quarter of the size.

    Args:
      planes: float32 (N, 3, H, W), RGB in [0, 1], sides multiples of 4 and at least `SMALLEST`.
      parameters: of the task.
      seed: int32 (2,), of the pictures' noise.
      stages: the noise's ranges.
      shared_noise: int32 (2,), seed of the noise's strength and of whether it is gray, for all pictures; None: each
        picture has its own, as published.

    Returns:
      uint8 (N, 3, H / 4, W / 4).
    """
    (first, second), sides = parameters[:2], [side // SCALE for side in static_shape(planes)[2:]]
    seeds = tf.unstack(tf.random.split(seed, 2))
    shared = [None, None] if shared_noise is None else tf.unstack(tf.random.split(shared_noise, 2))

    out = filter2d(planes, first.kernel)
    out = resize_by(out, first.scale, first.mode)
    out = _add_noise(out, stages[0], first.gaussian, seeds[0], shared[0])
    out = jpeg(out, first.quality)

    out = tf.cond(second.blurred, lambda: filter2d(out, second.kernel), lambda: out)
    middle = [tf.cast(side * second.scale, tf.int32) for side in sides]  # cut off, as published
    out = resize_to(out, middle, second.mode)
    out = _add_noise(out, stages[1], second.gaussian, seeds[1], shared[1])

    def finish(x: tf.Tensor) -> tf.Tensor:
        return filter2d(resize_to(x, sides, parameters.final_mode), parameters.sinc)

    out = tf.cond(
        parameters.sinc_before_jpeg,
        lambda: jpeg(tf.clip_by_value(finish(out), 0.0, 1.0), second.quality),
        lambda: finish(jpeg(out, second.quality)),
    )
    return tf.cast(tf.clip_by_value(tf.round(out * 255.0), 0.0, 255.0), tf.uint8)
