"""FID: how far one set of pictures is from another (Heusel et al., "GANs Trained by a Two Time-Scale Update Rule
Converge to a Local Nash Equilibrium", NeurIPS 2017), as the package pytorch-fid 0.3.0 computes it for MetaF2N.

The features of `networks/inception.py` are taken for normally distributed, and the FID is the Frechet distance of the
two distributions. With fewer pictures than features (2048) it is biased upwards: only sets of one size compare.
"""

import functools
import hashlib
import io
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from metaf2n_tf import progress
from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import Argument, Message, UserError, one_line
from metaf2n_tf.networks import inception
from metaf2n_tf.weights import npz
from metaf2n_tf.wording import counted

logger = logging.getLogger(__name__)

WEIGHTS = "weights/pt_inception-2015-12-05-6726825d.pth"
RESIZES = inception.RESIZES
NAMES = {"pytorch_fid": "fid", "tensorflow": "fid_tensorflow"}  # what the distance is called, by resize
_BATCH = 8  # pictures; on 2 CPU cores more of them at once are no faster
_ROWS_AT_ONCE = 64  # one covariance update costs the same for 1 and for 64 rows
_CACHE_VERSION = 1  # to be raised when the same pictures come to give other features


class Moments(NamedTuple):
    """Mean (D,) and covariance (D, D), float64, divisor count - 1, of `count` pictures; None where that is unknown."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None


class Statistics:
    """Mean and covariance of rows as they come, in float64; memory does not grow with their number.

    Blocks are merged by their own means (Chan, Golub, LeVeque 1979), so nothing cancels.
    """

    def __init__(self):
        self.count = 0
        self._merged = 0
        self._mean = self._scatter = np.zeros(())
        self._waiting: list[np.ndarray] = []

    def update(self, features: np.ndarray) -> None:
        """Take in rows (N, D), of any floating dtype."""
        rows = np.array(features, np.float64)
        self._waiting.extend(rows)
        self.count += len(rows)
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._merge()

    def _merge(self) -> None:
        rows, self._waiting = np.stack(self._waiting), []
        if not self._merged:
            self._mean = np.zeros(rows.shape[1])
            self._scatter = np.zeros((rows.shape[1], rows.shape[1]))
        count, total, mean = len(rows), self._merged + len(rows), rows.mean(axis=0)
        step = mean - self._mean
        rows = np.vstack([rows - mean, step * np.sqrt(self._merged * count / total)])
        self._scatter += rows.T @ rows
        self._mean = self._mean + step * count / total
        self._merged = total

    def moments(self) -> Moments:
        """What the rows so far give.

        Raises:
          UserError: there are fewer than 2.
        """
        if self.count < 2:
            raise UserError(f"FID: a covariance needs at least 2 pictures, and here are {self.count}")
        if self._waiting:
            self._merge()
        return Moments(self._mean, self._scatter / (self.count - 1), self.count)


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """|mean_a - mean_b|^2 + tr(cov_a + cov_b - 2 sqrt(cov_a cov_b)), in float64.

    The product has the eigenvalues of the symmetric sqrt(cov_a) cov_b sqrt(cov_a), whose roots sum to the trace of its
    root: unlike the general matrix root that is published, this is real, and exact where covariances are singular.

    Args:
      mean_a, mean_b: (D,); cov_a, cov_b: (D, D), symmetric, without negative eigenvalues beyond rounding.
    """
    mean_a, cov_a, mean_b, cov_b = (np.asarray(x, np.float64) for x in (mean_a, cov_a, mean_b, cov_b))
    values, vectors = np.linalg.eigh(cov_a)
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]  # the others are rounding
    root = vectors[:, kept] * np.sqrt(values[kept])
    product = np.linalg.eigvalsh(root.T @ cov_b @ root)
    trace = np.sqrt(np.maximum(product, 0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * trace)


@functools.cache
def _compiled_pool3() -> tf.types.experimental.PolymorphicFunction:
    params = {name: tf.TensorSpec(shape) for name, shape in inception.variable_shapes().items()}
    prepared = tf.TensorSpec([None, inception.SIDE, inception.SIDE, 3])
    return tf.function(inception.pool3, input_signature=[params, prepared])


def features(
    params: Mapping[str, np.ndarray | tf.Tensor], pictures: Iterable[np.ndarray], resize: str = RESIZES[0]
) -> Iterator[np.ndarray]:
    """Yield each picture's float32 features (2048,).

    Args:
      params: as `weights.inception.load_inception` reads them.
      pictures: uint8 (H, W, 3) RGB, of any sizes. Few of them are held at a time.
      resize: one of `RESIZES`, see `inception.prepare`.

    Raises:
      UserError: another resize.
    """
    if resize not in RESIZES:
        raise UserError(f"FID: no resize {resize!r}. Remedy: {' or '.join(RESIZES)}")
    params = {name: tf.convert_to_tensor(params[name]) for name in inception.variable_shapes()}

    def prepare(picture: np.ndarray) -> tf.Tensor:
        return inception.prepare(tf.cast(picture[None], tf.float32) / 255, resize)

    pictures = iter(pictures)
    while batch := [prepare(picture) for picture in itertools.islice(pictures, _BATCH)]:
        yield from _compiled_pool3()(params, tf.concat(batch, axis=0)).numpy()


def _read_all(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        try:
            yield images.read_rgb8(path)
        except UserError as error:
            logger.warning(Message("left out: ", error))


def picture_statistics(
    paths: Sequence[Path],
    params: Mapping[str, np.ndarray | tf.Tensor],
    resize: str = RESIZES[0],
    title: str = "pictures",
) -> Moments:
    """Moments of the features of picture files; those that cannot be read are named and left out.

    Pictures are turned upright as their EXIF says, and 16 bits are scaled to 8; pytorch-fid does neither.

    Args:
      title: what the work is called where it reports how far it has come.

    Raises:
      UserError: fewer than 2 can be read.
    """
    statistics = Statistics()
    found = features(params, _read_all(paths), resize)
    for row in progress.each(found, title, len(paths)):
        statistics.update(row[None])
    return statistics.moments()


def check_reference(source: Path) -> None:
    """Raise a UserError for what is neither a folder nor a `.npz` file; see `reference_statistics`."""
    if not source.is_dir() and not (source.suffix == ".npz" and source.is_file()):
        raise UserError(Argument("fid_ref_dir", source), ": no such folder, nor a .npz file of pytorch-fid")


def _list_pictures(folder: Path) -> list[Path]:
    """The pictures that pytorch-fid takes, in name order, and those whose extension is in capitals; no hidden ones."""
    check_reference(folder)
    suffixes = {f".{extension}" for extension in images.PICTURES}
    found = sorted(file for file in map(Path, listing.walk(str(folder), False)) if file.suffix.lower() in suffixes)
    if len(found) < 2:
        few = f": FID needs at least 2 pictures, and here are {len(found)}"
        raise UserError(Argument("fid_ref_dir", folder), few)
    return found


def _fingerprint(pictures: Sequence[Path], params: Mapping[str, np.ndarray | tf.Tensor], resize: str) -> str:
    digest = hashlib.sha256(str(_CACHE_VERSION).encode())
    for name in sorted(inception.variable_shapes()):
        digest.update(np.ascontiguousarray(params[name]).data)
    for picture in pictures:
        size, time = files.size_and_time(picture)
        digest.update(b"\0" + os.fsencode(picture.name) + f"\0{size}\0{time}".encode())
    return f"{resize} {digest.hexdigest()}"


def _read_moments(path: Path) -> tuple[Moments, str | None]:
    """What a `.npz` file of ours or of pytorch-fid holds, and our fingerprint if it is one of ours."""
    arrays = npz.read_arrays(path)
    try:
        count = int(arrays["count"]) if "count" in arrays else None
        key = str(arrays["key"]) if "key" in arrays else None
        found, width = [arrays[name] for name in ("mu", "sigma")], inception.FEATURES
        shapes = [value.shape for value in found if value.dtype.kind != "U"]
        if len(shapes) < len(found):
            raise TypeError("a text")
        if shapes != [(width,), (width, width)]:
            wanted = f"({width},) and ({width}, {width})"
            raise UserError(f"{path}: mu and sigma have the shapes {shapes[0]} and {shapes[1]}, expected {wanted}")
        mean, covariance = (np.asarray(value, np.float64) for value in found)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: not a .npz file with mu and sigma. Remedy: make it anew") from error
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(covariance))):
        raise UserError(f"{path}: mu and sigma hold values that are not finite")
    return Moments(mean, covariance, count), key


def _read_cache(path: Path, key: str) -> Moments | None:
    if not path.exists():
        return None
    try:
        moments, found = _read_moments(path)
    except UserError as error:
        logger.info(Message(error, "; computed anew"))
        return None
    if found != key:
        logger.info(f"{path}: of other pictures or weights; computed anew")
        return None
    return moments


def _write_cache(path: Path, moments: Moments, key: str) -> None:
    stream = io.BytesIO()
    np.savez(stream, mu=moments.mean, sigma=moments.covariance, count=np.asarray(moments.count), key=key)
    try:
        files.write_bytes(path, stream.getvalue())
    except UserError as error:
        logger.warning(Message(error, "; so the next run computes these statistics again"))


def left_out(folder: Path, moments: Moments) -> int:
    """How many of a reference's pictures are not in its moments, because they could not be read."""
    if moments.count is None or not folder.is_dir():
        return 0
    return len(_list_pictures(folder)) - moments.count


def reference_statistics(
    folder: Path, params: Mapping[str, np.ndarray | tf.Tensor], resize: str = RESIZES[0]
) -> Moments:
    """Moments of the pictures that FID compares with.

    They are kept beside the folder, in `<folder>.fid-<resize>.npz`, which pytorch-fid can read, and used again as long
    as the weights and the pictures' names, sizes and times are the same.

    Args:
      folder: of pictures, without its sub-folders; or a `.npz` file that pytorch-fid or this wrote, which is taken as
        it is, whatever the weights.

    Raises:
      UserError: no such folder, fewer than 2 readable pictures in it, a bad `.npz` file, or ours of the other resize.
    """
    if folder.suffix == ".npz" and folder.is_file():
        moments, key = _read_moments(folder)
        if key is not None and not key.startswith(f"{resize} "):
            raise UserError(
                f"{folder}: made with ",
                Argument("fid_resize", one_line(key.partition(" ")[0])),
                ". Remedy: the same, or its folder",
            )
        return moments
    pictures = _list_pictures(folder)
    key = _fingerprint(pictures, params, resize)
    kept = Path(f"{os.path.abspath(folder)}.fid-{resize}.npz")
    moments = _read_cache(kept, key)
    if moments is None:
        moments = picture_statistics(pictures, params, resize, "FID's reference")
        _write_cache(kept, moments, key)
    elif unreadable := left_out(folder, moments):
        are = counted(unreadable, "unreadable picture", "unreadable pictures")
        logger.warning(f"{kept}: left out {are} of {folder}")
    return moments
