"""The loop over a folder of photos that both commands share: progress, bad photos reported and left out, exit code."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import tensorflow as tf
from tqdm import tqdm

from metaf2n_tf import cli
from metaf2n_tf.data import images
from metaf2n_tf.errors import CannotWriteError, UserError

# What one bad photo can raise; anything else is a mistake of ours.
PHOTO_ERRORS = (UserError, tf.errors.OpError, cv2.error, MemoryError, OSError)


def reason_of(error: Exception) -> str:
    """One of `PHOTO_ERRORS` in one line."""
    if isinstance(error, tf.errors.ResourceExhaustedError | MemoryError):
        return "out of memory. Remedy: --gpu -1, or fewer pixels at a time (--tile, --patch_size)"
    if isinstance(error, UserError):  # which may name a file whose name has lines
        return str(error)
    return str(error).split("\n")[0] or type(error).__name__


def say_turned(without_face: Sequence[Path]) -> None:
    """Say what may hide the faces of photos in which none was found."""
    unknown = sum(photo.is_file() and not images.says_orientation(photo) for photo in without_face)
    if unknown:
        cli.say(
            f"note: the EXIF of {unknown} of them does not say which way is up. Faces are found upright only: turn "
            "photos that lie on a side"
        )


def process_all(photos: Sequence[Path], process: Callable[[Path], dict]) -> int:
    """Process photos one by one; one that cannot be used is reported, and the rest goes on.

    Args:
      process: takes a photo's path, and returns what the progress bar shows of it.

    Returns:
      How many could not be used.

    Raises:
      CannotWriteError: there is no place for results, so the rest would be computed in vain.
    """
    failed = 0
    for photo in (progress := tqdm(photos, unit="photo")):
        try:
            progress.set_postfix(process(photo))
        except CannotWriteError:
            raise
        except PHOTO_ERRORS as error:
            reason = reason_of(error)
            cli.say(f"skipped: {reason}" if str(photo) in reason else f"skipped: {photo}: {reason}")
            failed += 1
    if failed:
        cli.say(f"{failed} of {cli.counted(len(photos), 'file', 'files')} could not be used")
    return failed
