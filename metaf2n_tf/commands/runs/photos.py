"""The loop over a folder of photos that commands share: progress, bad photos reported and left out."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from metaf2n_tf import progress
from metaf2n_tf.commands.cli import say
from metaf2n_tf.data import images
from metaf2n_tf.data.failures import PICTURE_ERRORS, reason_of
from metaf2n_tf.errors import CannotWriteError, Message
from metaf2n_tf.wording import counted


def say_turned(without_face: Sequence[Path]) -> None:
    """Say what may hide the faces of photos in which none was found."""
    unknown = sum(photo.is_file() and not images.says_orientation(photo) for photo in without_face)
    if unknown:
        say(
            f"note: the EXIF of {unknown} of them does not say which way is up. Faces are found upright only: turn "
            "photos that lie on a side"
        )


def process_all(photos: Sequence[Path], process: Callable[[Path], str]) -> int:
    """Process photos one by one, a line for each; one that cannot be used is reported, and the rest goes on.

    Args:
      process: takes a photo's path, and returns what is said of it.

    Returns:
      How many could not be used.

    Raises:
      CannotWriteError: there is no place for results, so the rest would be computed in vain.
    """
    failed = 0
    for number, photo in enumerate(progress.each(photos, "photos", len(photos)), 1):
        began = time.monotonic()
        try:
            became = process(photo)
            say(f"{number}/{len(photos)} {became}, {time.monotonic() - began:.1f} s")
        except CannotWriteError:
            raise
        except PICTURE_ERRORS as error:
            reason = reason_of(error)
            say(Message("skipped: ", "" if str(photo) in str(reason) else f"{photo}: ", reason))
            failed += 1
    if failed:
        say(f"{failed} of {counted(len(photos), 'file', 'files')} could not be used")
    return failed
