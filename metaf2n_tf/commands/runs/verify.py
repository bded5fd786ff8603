"""`generate_tfrecord.py --verify`: read sets back, and a contact sheet of each."""

from pathlib import Path

from metaf2n_tf.commands.cli import OK, say
from metaf2n_tf.data import images
from metaf2n_tf.data.tfrecords.verify import check_set, contact_sheet


def run(tfrecords: list[str]) -> int:
    """Check sets by name, each with a contact sheet `NAME.png` beside it; returns the exit code."""
    for tfrecord in map(Path, tfrecords):
        opened, comparison = check_set(tfrecord)
        images.write_rgb8(tfrecord.with_suffix(".png"), contact_sheet(opened))
        say(
            f"{tfrecord}: {opened.count} squares of {opened.side}x{opened.side} pixels in {len(opened.shards)} "
            f"file(s), every CRC right, {comparison}; some of them: {tfrecord.with_suffix('.png')}"
        )
    return OK
