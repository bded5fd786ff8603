"""Train KDFSRNet, a face restorer: first its teacher, then the student that learns from it.

metaf2n distill --stage teacher --data train/whole_face.tfrecord --val val/whole_face.tfrecord
python scripts/train_kdfsrnet.py --stage teacher --data train/whole_face.tfrecord --val val/whole_face.tfrecord
python scripts/train_kdfsrnet.py --stage student --data train/whole_face.tfrecord --val val/whole_face.tfrecord \
  --teacher weights/kdfsrnet_teacher
"""

from absl import flags

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli, common_flags

TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("stage", "", "teacher (sees parsing maps) or student (does not, and learns from the teacher).")
    flags.DEFINE_string(
        "data", "", "TFRecord set to train on, made by generate_tfrecord.py --face_input --parsing_dir."
    )
    flags.DEFINE_string("val", None, "TFRecord set to measure PSNR and SSIM on after each epoch.")
    flags.DEFINE_string(
        "teacher", None, "The student's teacher: --output_dir of its training or a .pth; none: without."
    )
    flags.DEFINE_string("output_dir", None, "Folder for checkpoints and logs. Default: weights/kdfsrnet_STAGE.")
    flags.DEFINE_integer("scale", 8, "4, 8 or 16: LQ faces are reduced by it, bicubically, and enlarged again.")
    flags.DEFINE_integer("epochs", 400, "Passes over the set, in all.")
    flags.DEFINE_integer("batch_size", 8, "Faces a step.")
    flags.DEFINE_float("lr", 1e-4, "Learning rate of Adam.")
    flags.DEFINE_integer("seed", 0, "Of the untrained weights and the order of the faces.")
    flags.DEFINE_bool("augment", False, "Flip and turn the faces at random.")
    flags.DEFINE_integer(
        "width", None, "Channels of the features; student and teacher must have the same. Default: 64."
    )
    flags.DEFINE_integer("blocks", None, "Residual blocks a stage. Default: 2 for the teacher, 6 for the student.")
    flags.DEFINE_integer("keep_checkpoints", 2, "Only so many of the newest checkpoints; 0: all.")
    flags.DEFINE_bool(
        "resume", False, "Go on from the newest checkpoint in --output_dir, or start where there is none."
    )
    common_flags.define_gpu()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device(args.gpu)
    from metaf2n_tf.distillation.settings import Settings
    from metaf2n_tf.distillation.trainer import train

    return cli.ended(train(cli.options_from(Settings)))
