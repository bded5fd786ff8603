"""The published test of ASFFNet (`main_test.py`): a list of aligned faces with their exemplars, restored one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf import runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.photos import process_all
from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces.exemplars.guidance import choose_optimal
from metaf2n_tf.faces.exemplars.guided import GuidedNetwork
from metaf2n_tf.faces.exemplars.landmarks import Landmarker, read_landmarks
from metaf2n_tf.faces.exemplars.persons import LANDMARK_SUFFIX, SIZE, Exemplar, enlarged_as_published, landmark_file
from metaf2n_tf.faces.registry import find_weights


@dataclass(frozen=True)
class Line:
    """lq: an aligned face; exemplars: folder of the person's; landmarks: folder of a `NAME.png.txt` for each."""

    lq: Path
    exemplars: Path
    landmarks: Path


def read_list(path: Path) -> list[Line]:
    """The lines `LQ<TAB>EXEMPLARS<TAB>LANDMARKS` of a list; paths are relative to the working directory, as published.

    Raises:
      UserError: no such file, another form, no lines, or two faces whose results would have one name.
    """
    rows = [line.strip().split("\t") for line in files.read_lines(path, "img_list") if line.strip()]
    if not rows or any(len(row) != 3 for row in rows):
        raise UserError(f"--img_list {path}: expected lines 'LQ FACE<TAB>EXEMPLARS<TAB>LANDMARKS OF THE EXEMPLARS'")
    lines = [Line(*map(Path, row)) for row in rows]
    names: dict[str, Path] = {}
    for line in lines:
        other = names.setdefault(line.lq.stem, line.lq)
        if other is not line.lq:
            what = "is listed twice" if other == line.lq else f"and {other} would give results of one name"
            raise UserError(f"--img_list {path}: {line.lq} {what}")
    return lines


def _check_place(lines: Sequence[Line], out_path: Path) -> None:
    """Raise a UserError where a result would take the place of another, or of a picture that is read."""
    listing.check_names(((line.lq, Path(line.lq.stem)) for line in lines), out_path, "rename one")
    for line in lines:
        result = files.real(out_path / f"{line.lq.stem}.png")
        if result == files.real(line.lq) or result.parent == files.real(line.exemplars):
            raise UserError(f"--out_path {out_path}: pictures of the list lie there. Remedy: another folder")


def read_square(path: Path) -> np.ndarray:
    """An aligned face, uint8 (512, 512, 3); a smaller one is enlarged, as published.

    Raises:
      UserError: unreadable, or of another size: the published network's mask has 512 x 512 pixels.
    """
    rgb = enlarged_as_published(images.read_rgb8(path))
    if rgb.shape[:2] != (SIZE, SIZE):
        raise UserError(f"{path}: {rgb.shape[1]}x{rgb.shape[0]}; aligned faces of at most {SIZE}x{SIZE} are expected")
    return rgb


def _exemplar(line: Line, landmarks: np.ndarray) -> Exemplar:
    """The one that suits best among those with a landmark file; only it is decoded."""
    found = sorted(line.landmarks.glob(f"[!.]*{LANDMARK_SUFFIX}")) if line.landmarks.is_dir() else []
    if not found:
        raise UserError(f"{line.landmarks}: no landmark files there (NAME.png{LANDMARK_SUFFIX}, 68 lines 'x y')")
    candidates = [read_landmarks(file) for file in found]
    best = choose_optimal(landmarks, candidates)
    picture = line.exemplars / found[best].stem
    return Exemplar(picture, read_square(picture), candidates[best])


def run(img_list: Path, out_path: Path, gpu: str | None) -> int:
    """Write, for every line of the list, `NAME.png` with LQ face, exemplar and restored face side by side.

    The landmarks of an LQ face come from `NAME.png.txt` or `NAME.txt` beside it where there is one, else from the face
    mesh. Returns the exit code.
    """
    lines = {line.lq: line for line in read_list(img_list)}
    _check_place(list(lines.values()), out_path)
    runtime.select_device(gpu)
    try:
        network = GuidedNetwork(find_weights("asffnet"))
    except UserError as error:
        raise UserError(f"asffnet: {error}") from None
    landmarker = Landmarker(find_weights("face-mesh", fetched=True))
    files.make_folder(out_path)

    def process(lq: Path) -> str:
        square, written = read_square(lq), landmark_file(lq)
        landmarks = read_landmarks(written) if written else landmarker(square)
        if landmarks is None:
            raise UserError(f"{lq}: no landmarks found in it. Remedy: a landmark file {lq.name}.txt beside it")
        exemplar = _exemplar(lines[lq], landmarks)
        restored = network(square, landmarks, [exemplar])
        images.write_rgb8(out_path / f"{lq.stem}.png", np.hstack([square, exemplar.rgb, restored]))
        return f"{lq.name}: exemplar {exemplar.file.name}"

    with files.alone_in(out_path):
        return cli.SOME_FAILED if process_all(list(lines), process) else cli.OK
