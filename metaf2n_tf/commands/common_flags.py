"""Flags that several commands have, each defined in one place."""

from absl import flags

from metaf2n_tf import places
from metaf2n_tf.data import size
from metaf2n_tf.faces import restorers


def define_max_megapixels(default: int = size.MAX_MEGAPIXELS) -> None:
    """Define the flag of every command that reads pictures; `cli.run` sets what it says."""
    flags.DEFINE_integer(
        "max_megapixels", default, "Largest picture that is read or written, in megapixels.", lower_bound=1
    )


def define_gpu() -> None:
    """Define the flag of every command that computes."""
    flags.DEFINE_string("gpu", None, "CUDA device id; -1 for the CPU. Default: the first GPU, else the CPU.")


def define_listing() -> None:
    """Define the flags of commands that list a folder of pictures."""
    flags.DEFINE_bool("recursive", False, "Also those in sub-folders.")
    flags.DEFINE_list("ext", [], "File extensions to take, like png,jpg. Default: every file.")


def define_upscaling() -> None:
    """Define the flags of commands that super-resolve photos, and find their faces where no folder holds them."""
    flags.DEFINE_integer("tile", 256, "Tile side in LQ pixels; 0 takes the whole photo at once.")
    flags.DEFINE_integer("tile_pad", None, "Context pixels around a tile. Default: what the network sees.")
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16", "float16", "auto"],
        "Arithmetic of the super-resolution; auto: the fastest here with at least 50 dB against float32.",
    )
    flags.DEFINE_string("detector", None, f"Face detector, where faces are looked for; see {places.called('faces')}.")
    flags.DEFINE_string(
        "restorer",
        None,
        f"Face restorer, where faces are looked for: {', '.join(restorers.without_exemplars())}; see "
        f"{places.called('faces')}.",
    )
    flags.DEFINE_enum(
        "color_fix",
        "none",
        ["none", "lowpass"],
        "Whose colours a result has: its own, or the photo's at low frequencies.",
    )
