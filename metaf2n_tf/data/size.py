"""How large a picture may be: one limit, max_megapixels, for what is read and for what is written."""

from metaf2n_tf.errors import Argument, UserError

MAX_MEGAPIXELS = 1074  # 2^30 pixels, which the decoder of 16-bit pictures stops at, rounded up
_LONGEST_SIDE = 10**6  # libpng writes and reads no longer one
_limit = MAX_MEGAPIXELS


def set_max_megapixels(limit: int) -> None:
    """Set the limit of this process."""
    global _limit  # like Pillow's own limit, whose place it takes
    _limit = limit


def max_megapixels() -> int:
    """The limit of this process."""
    return _limit


def check_size(height: int, width: int) -> None:
    """Refuse a picture above the limit.

    Raises:
      UserError: of more megapixels; the message is a relative clause short of its subject.
    """
    if width * height > _limit * 10**6:
        needed = -(-width * height // 10**6)
        raise UserError(
            f"{width}x{height} pixels are more than ",
            Argument("max_megapixels", _limit),
            ". Remedy: ",
            Argument("max_megapixels", needed),
            ", where there is memory for it",
        )


def check_result_size(height: int, width: int) -> None:
    """Refuse to write a picture that no command of ours, with the same limit, could read again.

    Raises:
      UserError: as `check_size`, or a side too long for a PNG.
    """
    if max(width, height) > _LONGEST_SIDE:
        raise UserError(f"a result of {width}x{height} pixels is longer than any can be ({_LONGEST_SIDE})")
    try:
        check_size(height, width)
    except UserError as error:
        raise UserError("what is made of it: ", error) from None
