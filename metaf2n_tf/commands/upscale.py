"""Adapt to the faces of each photo and super-resolve it x4 (MetaF2N's test.py).

metaf2n upscale photo.jpg
metaf2n upscale LQ -o RESULTS --fine_tune_num auto
python test.py --input_dir LQ --face_dir FACES --output_dir RESULTS --fine_tune_num 1
"""

import os
from pathlib import Path

from absl import flags

from metaf2n_tf import places, runtime
from metaf2n_tf.commands import cli, common_flags
from metaf2n_tf.data import formats

PUBLISHED_INPUT, PUBLISHED_FACES = "./datasets/RealFaces200/LQ", "./datasets/RealFaces200"
PUBLISHED_RESULTS = "./datasets/RealFaces200/Res"
TAKES = "photo, or folder of photos"


def _define_places() -> None:
    flags.DEFINE_string("input_dir", PUBLISHED_INPUT, "Folder of LQ photos.")
    flags.DEFINE_string(
        "face_dir",
        None,
        f"Folder with Face_LQ and Face_HQ ({places.called('faces')}). Left out: {PUBLISHED_FACES} if --input_dir is "
        "left out too and faces are there, else faces are found and restored here.",
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        f"Folder for the results, NAME.png, and results.jsonl. Default: {PUBLISHED_RESULTS}; for a photo or folder "
        "that is named without --input_dir, NAME_x4.png or NAME_x4 beside it.",
        short_name="o",
    )


def define_making() -> None:
    """Define the flags that say what is made of a photo, whatever photo and wherever it goes."""
    flags.DEFINE_string(
        "model_dir",
        None,
        "Weights: a published checkpoint (prefix or folder), Real-ESRGAN's .pth or .safetensors, ncnn .bin, .npz, or a "
        f"name of {places.called('weights')}. Default: ./pretrained_models/model-new where it is, else the shipped "
        "metaf2n_lite.",
    )
    flags.DEFINE_string(
        "blend", None, "Other weights of the same network and their share, FILE:SHARE, like wdn.npz:0.5."
    )
    flags.DEFINE_integer("patch_size", 64, "Side of the HQ face patches in pixels.")
    flags.DEFINE_integer("patch_num_per_img", 16, "Patches cut from each face.")
    flags.DEFINE_string(
        "fine_tune_num",
        "1",
        "Fine-tuning steps; several, like 0,1,5,10, one folder steps_N for each; or auto, or auto:N: "
        "of 0 to N (10) the number with the lowest loss on patches kept out of the steps.",
    )
    flags.DEFINE_list(
        "strength",
        ["1"],
        "Share of the adaptation's change of the weights, 0 to 1; or several, one folder strength_S for each.",
    )
    flags.DEFINE_float("task_lr", None, "Learning rate. Default: the one that suits the weights; it is printed.")
    flags.DEFINE_integer("seed", 0, "Seed of the patch positions.", lower_bound=0)
    flags.DEFINE_float(
        "outscale",
        4.0,
        "Pixels a side of the result for one of the photo, 0.5 to 8: the x4 picture is reduced or enlarged.",
    )
    flags.DEFINE_enum("format", "png", list(formats.FORMATS), "Kind of file of the results.")
    losing = [f"{name} {kind.quality}" for name, kind in formats.FORMATS.items() if kind.quality is not None]
    flags.DEFINE_integer(
        "quality",
        None,
        f"1 to 100, of formats that lose something (webp loses nothing at 100). Default: {', '.join(losing)}.",
    )
    common_flags.define_upscaling()
    flags.DEFINE_integer(
        "min_face", 0, "Least LQ pixels of a face's shorter side; smaller ones are left out.", lower_bound=0
    )
    flags.DEFINE_bool("paste_faces", False, "Put the restored faces into the results.")
    flags.DEFINE_float("paste_strength", 1.0, "Their opacity, 0 to 1.")


def define_flags() -> None:
    """Define the flags."""
    _define_places()
    define_making()
    flags.DEFINE_string(
        "adapt",
        "per_photo",
        "per_photo; or album, or album:N: one adaptation for all photos, on at most N (64) patches of each, for photos "
        "of one camera, film or scan.",
    )
    flags.DEFINE_string(
        "save_weights",
        None,
        "Also write the adapted weights, which --model_dir reads, as .npz, .pth or .safetensors: a file for a photo or "
        "an album; FOLDER/NAME.npz, just so, for each photo of a folder.",
    )
    common_flags.define_listing()
    flags.DEFINE_bool("overwrite", False, "Make results anew that are already there.")
    flags.DEFINE_bool(
        "report", False, "Also report.html: sliders, faces, losses and metrics of all photos, in one file."
    )
    flags.DEFINE_string("gt_dir", None, "Folder with ground truths, by name, for the report.")
    common_flags.define_gpu()
    common_flags.define_max_megapixels()


def suffix_of(outscale: float) -> str:
    """What is made of a photo, or of a folder, is called so after its name where nothing else is said."""
    return f"_x{str(outscale).removesuffix('.0')}"


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    runtime.import_tensorflow()
    from metaf2n_tf.commands.runs import upscale
    from metaf2n_tf.upscale import album, steps

    given = Path(cli.path_of("input_dir", names))
    output_dir, suffix = Path(args.output_dir or PUBLISHED_RESULTS), ""
    if names and not args.output_dir:
        given, beside = Path(os.path.abspath(given)), suffix_of(args.outscale)  # "." has no name
        output_dir, suffix = (given.parent, beside) if given.is_file() else (given.with_name(given.name + beside), "")
    face_dir = args.face_dir
    if face_dir is None and given == Path(PUBLISHED_INPUT) and Path(PUBLISHED_FACES, "Face_LQ").is_dir():
        face_dir = PUBLISHED_FACES
    options = cli.options_from(
        upscale.Options,
        input_dir=given,
        face_dir=cli.optional_path(face_dir),
        output_dir=output_dir,
        suffix=suffix,
        quality=formats.quality_of(args.format, args.quality),
        model_dir=cli.optional_path(args.model_dir),
        gt_dir=cli.optional_path(args.gt_dir),
        fine_tune_num=steps.parse_steps(args.fine_tune_num),
        strength=cli.parse_floats("strength"),
        adapt=album.parse_adapt(args.adapt),
        save_weights=cli.optional_path(args.save_weights),
    )
    return upscale.run(options)
