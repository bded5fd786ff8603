"""One meta-batch of the training data as a picture, to look at.

metaf2n preview --restorer gpen_256 --output meta_batch.png
python scripts/preview_meta_batch.py --restorer gpen_256 --output meta_batch.png
"""

from pathlib import Path
from types import SimpleNamespace

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli, common_flags
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import restorers

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    config = SimpleNamespace(**places.read_config())
    flags.DEFINE_string("faces", config.TFRECORD_PATH0, "TFRecord set of whole faces.")
    flags.DEFINE_string("backgrounds", config.TFRECORD_PATH1, "TFRecord set of backgrounds.")
    flags.DEFINE_string(
        "restorer",
        "gpen_256",
        f"Face restorer: {restorers.described(restorers.of_batches())}. NAME:WEIGHTS for weights of your own.",
    )
    flags.DEFINE_string("exemplar_dir", None, "HQ photos for asffnet: of the one person whose faces the records hold.")
    flags.DEFINE_string(
        "model_dir", "./weights/realesrgan-x4plus.npz", "SR weights, which self_ensemble restores with."
    )
    flags.DEFINE_string("output", "./results/meta_batch.png", "The picture to write.")
    flags.DEFINE_integer("step", 0, "Which batch.", lower_bound=0)
    flags.DEFINE_integer("seed", 0, "Of all draws.", lower_bound=0, upper_bound=2**31 - 1)
    common_flags.define_gpu()
    common_flags.define_max_megapixels()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device(args.gpu)
    from metaf2n_tf.data import files, images, meta_batch_preview, meta_batches
    from metaf2n_tf.data.tfrecords.records import open_set
    from metaf2n_tf.faces.restore_batch import make_restorer
    from metaf2n_tf.weights.load import load_weights

    config = SimpleNamespace(**places.read_config())
    if (config.WIDTH, config.WIDTH1, config.CHANNEL) != (config.HEIGHT, config.HEIGHT1, 3):
        raise UserError("config.py: patches are squares of 3 channels: WIDTH = HEIGHT, WIDTH1 = HEIGHT1, CHANNEL = 3")
    faces, backgrounds = open_set(args.faces), open_set(args.backgrounds)
    restore = make_restorer(
        args.restorer,
        faces.side,
        sr=lambda: load_weights(args.model_dir).sr,
        exemplar_dir=cli.optional_path(args.exemplar_dir),
    )
    shape = meta_batches.Shape.of(config)
    tasks = meta_batches.task_dataset(faces, backgrounds, shape, args.seed, args.step)
    picture = meta_batch_preview.draw(meta_batches.finish_batch(next(iter(tasks)), restore, shape))
    output = Path(args.output)
    files.make_folder(output.parent)
    images.write_rgb8(output, picture)
    cli.say(f"{output}: batch {args.step} of {faces.count} faces and {backgrounds.count} backgrounds")
    return cli.OK
