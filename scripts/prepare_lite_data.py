"""The pictures that the shipped weights are trained on, split and put together (docs/training_lite.md).

python scripts/prepare_lite_data.py --pictures DATA --output_dir datasets/lite

DATA holds photos/, faces_cc_by/ and faces_nc/ (256-pixel faces); benchmarks/held_out.json says which of them are held
out. Written are OUTPUT/training and OUTPUT/validation with faces/ and backgrounds/, inputs of generate_tfrecord.py.
Faces come in many sizes in real photos, so here they are as in DATA, at half and at a quarter of their size in
mosaics, and parts of enlarged ones.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from metaf2n_tf.commands import cli  # noqa: E402
from metaf2n_tf.data import files, images, listing  # noqa: E402
from metaf2n_tf.errors import Message, UserError  # noqa: E402
from metaf2n_tf.wording import counted  # noqa: E402

SIDE = 256
FACES = ("faces_cc_by", "faces_nc")
MOSAICS = (2, 4)  # faces on a side
ENLARGED = (320, 384, 448)
PARTS = ("training", "validation")


def load(path: Path) -> Image.Image:
    """A picture in RGB."""
    return Image.fromarray(images.read_rgb8(path))


def save(path: Path, picture: Image.Image) -> None:
    """Write a picture whole."""
    images.write_rgb8(path, np.asarray(picture))


def usable(paths: Sequence[Path]) -> Iterator[Path]:
    """Those that can be read; the others are named."""
    for path in paths:
        try:
            load(path)
        except UserError as error:
            cli.say(Message("skipped: ", error))
        else:
            yield path


def mosaic(faces: Sequence[Path], number: int) -> Image.Image:
    """number x number faces, reduced, in one square."""
    side, picture = SIDE // number, Image.new("RGB", (SIDE, SIDE))
    for index, face in enumerate(faces):
        small = load(face).resize((side, side), Image.Resampling.LANCZOS)
        picture.paste(small, (index % number * side, index // number * side))
    return picture


def write_faces(faces: list[Path], folder: Path, rng: random.Random) -> None:
    """Faces as they are, in mosaics (each face twice in each kind), and parts of a quarter of them enlarged."""
    for face in faces:
        save(folder / f"{face.stem}.png", load(face))
    for number in MOSAICS:
        for turn in range(2):
            order = rng.sample(faces, len(faces))
            for first in range(0, len(order) - number**2 + 1, number**2):
                name = f"mosaic{number}_{turn}_{first:04d}.png"
                save(folder / name, mosaic(order[first : first + number**2], number))
    for face in rng.sample(faces, len(faces) // 4):
        side = rng.choice(ENLARGED)
        x, y = (rng.randrange(side - SIDE + 1) for _ in range(2))
        large = load(face).resize((side, side), Image.Resampling.LANCZOS)
        save(folder / f"large_{face.stem}.png", large.crop((x, y, x + SIDE, y + SIDE)))


TAKES = ""


def define_flags() -> None:
    """Define the flags."""
    flags.DEFINE_string("pictures", None, "Folder with photos, faces_cc_by and faces_nc.", required=True)
    flags.DEFINE_string("output_dir", "./datasets/lite", "Folder for training and validation.")


def main(args: flags.FlagValues, names: list[str]) -> int:
    """Run with the flags, return the exit code."""
    split = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())
    never = {name for names in split["held_out"].values() for name in names} | set(split["unused"])
    validation = {name for names in split["validation"].values() for name in names}
    found: dict[str, dict[str, list[Path]]] = {part: {"photos": [], "faces": []} for part in PARTS}
    given = used = 0
    for folder in ("photos", *FACES):
        place = Path(args.pictures, folder)
        if not place.is_dir():
            raise UserError(f"--pictures {args.pictures}: there is no {folder} in it")
        listed = listing.list_files(place, argument="pictures")
        given += len(listed)
        for path in usable(listed):
            used += 1
            name = f"{folder}/{path.stem}"
            if name not in never:
                part = "validation" if name in validation else "training"
                found[part]["faces" if folder in FACES else "photos"].append(path)
    rng = random.Random(0)
    for part, pictures in found.items():
        faces, backgrounds = (Path(args.output_dir, part, kind) for kind in ("faces", "backgrounds"))
        for folder in (faces, backgrounds):
            files.make_folder(folder)
        listing.check_names(((face, Path(face.stem)) for face in pictures["faces"]), faces, "rename one")
        write_faces(pictures["faces"], faces, rng)
        # Photos show people, too: some faces are among the backgrounds.
        chosen = [*pictures["photos"], *rng.sample(pictures["faces"], min(len(pictures["faces"]) // 2, 300))]
        listing.check_names(((path, Path(path.name)) for path in chosen), backgrounds, "rename one")
        for path in chosen:
            files.write_bytes(backgrounds / path.name, path.read_bytes())
        counts = [len(list(folder.iterdir())) for folder in (faces, backgrounds)]
        cli.say(f"{part}: {counts[0]} pictures of faces, {counts[1]} backgrounds")
    if used < given:
        cli.say(f"{given - used} of {counted(given, 'file', 'files')} could not be used")
    return cli.OK if used == given else cli.SOME_FAILED


if __name__ == "__main__":
    cli.run(sys.modules[__name__])
