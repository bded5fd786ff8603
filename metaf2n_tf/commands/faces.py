"""Find and restore the faces of a folder of photos (MetaF2N's generate_test_faces.py).

metaf2n faces LQ -o FACES
python generate_test_faces.py --input_dir LQ --output_dir FACES
"""

import os
from pathlib import Path

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli, common_flags
from metaf2n_tf.faces import restorers

PUBLISHED_FACES = "./datasets/RealFaces200"
BESIDE = "_faces"  # the folder of a photo's faces, or a folder's, is called so where nothing else is said

TAKES = "photo, or folder of photos"


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("input_dir", "./datasets/RealFaces200/LQ", "Folder of LQ photos.")
    flags.DEFINE_string(
        "output_dir",
        None,
        f"Folder for Face_LQ and Face_HQ. Default: {PUBLISHED_FACES}; for a photo or folder that is named without "
        f"--input_dir, NAME{BESIDE} beside it.",
        short_name="o",
    )
    flags.DEFINE_string(
        "model_dir", None, f"SR weights, which self_ensemble restores with; as for {places.called('upscale')}."
    )
    flags.DEFINE_string(
        "detector",
        None,
        "Face detector: retinaface_r50, retinaface or mtcnn. Default: the first whose weights are "
        "there or can be fetched.",
    )
    flags.DEFINE_string(
        "restorer",
        None,
        f"Face restorer: {restorers.described(restorers.of_photos())}. NAME:WEIGHTS for weights of your own. Default: "
        f"{' if it is there, else '.join(restorers.defaults())}.",
    )
    flags.DEFINE_string("exemplar_dir", None, "HQ photos for asffnet: of one person, or a folder for each.")
    flags.DEFINE_string(
        "exemplar_map", None, "Whose a face is: lines PHOTO, INDEX OF THE FACE, PERSON, with tabs between."
    )
    flags.DEFINE_float("confidence", 0.9, "Lowest score of a face.")
    flags.DEFINE_integer("min_face", 0, "Least LQ pixels of a face's shorter side.", lower_bound=0)
    flags.DEFINE_integer("max_faces", 0, "Use only so many of a photo's largest faces; 0 for all.", lower_bound=0)
    flags.DEFINE_bool("save_aligned", False, "Also write the aligned faces before and after restoration, to look at.")
    flags.DEFINE_bool("preview", False, "Also write each photo with its boxes, landmarks and scores drawn on it.")
    flags.DEFINE_bool(
        "published_crops", False, "Cut HQ faces as the published script does, 1.5 pixels off their LQ faces."
    )
    common_flags.define_listing()
    common_flags.define_gpu()
    common_flags.define_max_megapixels()


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import faces

    given = Path(cli.path_of("input_dir", names))
    output_dir = Path(args.output_dir or PUBLISHED_FACES)
    if names and not args.output_dir:
        given = Path(os.path.abspath(given))  # "." has no name
        output_dir = given.with_name((given.stem if given.is_file() else given.name) + BESIDE)
    options = cli.options_from(
        faces.Options,
        input_dir=given,
        output_dir=output_dir,
        model_dir=cli.optional_path(args.model_dir),
        exemplar_dir=cli.optional_path(args.exemplar_dir),
        exemplar_map=cli.optional_path(args.exemplar_map),
    )
    return faces.run(options)
