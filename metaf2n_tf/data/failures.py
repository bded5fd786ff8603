"""What one bad picture can raise, and how that reads."""

import cv2
import tensorflow as tf

from metaf2n_tf.errors import Argument, Message, UserError

# Anything else is a mistake of ours.
PICTURE_ERRORS = (UserError, tf.errors.OpError, cv2.error, MemoryError, OSError)


def reason_of(error: Exception) -> Message:
    """One of `PICTURE_ERRORS` in one line."""
    if isinstance(error, tf.errors.ResourceExhaustedError | MemoryError):
        fewer = Argument("tile"), ", ", Argument("patch_size")
        return Message("out of memory. Remedy: ", Argument("gpu", -1), ", or fewer pixels at a time (", *fewer, ")")
    if isinstance(error, UserError):
        return error.message
    return Message(str(error).split("\n")[0] or type(error).__name__)
