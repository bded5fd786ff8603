"""Find and restore the faces of a folder of photos (MetaF2N's generate_test_faces.py).

python generate_test_faces.py --input_dir LQ --output_dir FACES
"""

from pathlib import Path

from absl import flags

from metaf2n_tf import cli, runtime

flags.DEFINE_string("input_dir", "./datasets/RealFaces200/LQ", "Folder of LQ photos.")
flags.DEFINE_string("output_dir", "./datasets/RealFaces200", "Folder for Face_LQ and Face_HQ.")
flags.DEFINE_string("model_dir", "./pretrained_models/model-new", "SR weights, which self_ensemble restores with.")
flags.DEFINE_string("detector", "mtcnn", "Face detector.")
flags.DEFINE_string("restorer", "self_ensemble", "Face restorer.")
flags.DEFINE_bool("recursive", False, "Also photos in sub-folders.")
flags.DEFINE_list("ext", [], "File extensions to take, like png,jpg. Default: every file.")
flags.DEFINE_string("gpu", None, "CUDA device id; -1 for the CPU. Default: the first GPU, else the CPU.")


def main(args: flags.FlagValues) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    runtime.select_device(args.gpu)
    from metaf2n_tf.faces import generate

    return generate.run(
        generate.Options(
            input_dir=Path(args.input_dir),
            output_dir=Path(args.output_dir),
            model_dir=Path(args.model_dir),
            detector=args.detector,
            restorer=args.restorer,
            recursive=args.recursive,
            ext=args.ext,
        )
    )


if __name__ == "__main__":
    cli.run(main)
