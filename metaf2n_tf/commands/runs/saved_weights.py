"""`--save_weights` of `test.py`: where the adapted weights go, which are there, and what they must not overwrite."""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf.commands.runs.upscale_options import Options, Variant
from metaf2n_tf.data import files
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks import sr
from metaf2n_tf.upscale.album import PER_PHOTO
from metaf2n_tf.weights import catalogue, writing
from metaf2n_tf.weights.load import Weights, choose_weights

_OF_EACH = re.compile(r"(?<![^\W_])NAME(?![^\W_])")  # a word that stands for the photo's name


@functools.lru_cache
def _crc32_of(path: Path, _: tuple[int, int]) -> int:
    return files.crc32_of(path)


@dataclass(frozen=True)
class SavedWeights:
    """The files of one run.

    file: as the user names it; folders: of each variant, relative to the file's own; together: whether all photos have
    the same weights.
    """

    file: Path
    folders: Mapping[Variant, Path]
    together: bool

    def paths(self, name: Path) -> dict[Variant, Path]:
        """The file of each variant for a photo: FOLDER/steps_N/a/b.npz of FOLDER/NAME.npz for a/b.jpg, and so on."""
        file = Path(self.file.name)
        if not self.together and _OF_EACH.search(self.file.name):
            file = name.with_name(_OF_EACH.sub(lambda _: name.stem, self.file.name))
        return {variant: self.file.parent / folder / file for variant, folder in self.folders.items()}

    def there(self, name: Path) -> dict[str, int | None]:
        """The checksums of a photo's weights on disk, None for those that are not there, by path from FOLDER."""
        return {
            path.relative_to(self.file.parent).as_posix(): _crc32_of(path, files.size_and_time(path))
            if path.is_file()
            else None
            for path in self.paths(name).values()
        }

    def write(self, name: Path, variant: Variant, adapted: sr.Params, loaded: Weights) -> None:
        """Write the weights of a variant, with the MaskNet and the learned rates that they were adapted with.

        Args:
          name: of the photo; of an album any.
          variant, adapted: which, and its SR weights.
          loaded: what they were adapted from.

        Raises:
          UserError: they cannot be written.
        """
        path = self.paths(name)[variant]
        weights = {variable: np.asarray(value) for variable, value in adapted.items()}
        files.make_folder(path.parent)
        writing.write_weights(path, dataclasses.replace(loaded, sr=weights))

    def prepare(self, options: Options, names: Sequence[Path], single: bool) -> None:
        """Make the folders, so that it is said early where nothing can be written; nothing else is changed.

        Args:
          options: of `test.py`.
          names: of the photos.
          single: whether the user names a photo and not a folder.

        Raises:
          UserError: the files cannot be written, would be taken for photos, or would overwrite a photo or weights.
        """
        writing.check_suffix("save_weights", self.file)
        argument = Argument("save_weights", self.file)
        of_each = _OF_EACH.search(self.file.name)
        if of_each and self.together:
            raise UserError(argument, ": all photos of an album have the same weights. Remedy: leave NAME out")
        if not (of_each or self.together or single):
            remedy = (
                Argument("adapt", "album"),
                ", or NAME in its name, like ",
                Argument("save_weights", "adapted/NAME.npz"),
            )
            raise UserError(argument, ": each photo has weights of its own. Remedy: ", *remedy)
        folder, output, photos = map(files.real, (self.file.parent, options.output_dir, options.input_dir))
        left_out = output.is_relative_to(photos) and folder.is_relative_to(output)
        if not single and folder.is_relative_to(photos) and not left_out:
            raise UserError(argument, ": would lie among the photos. Remedy: another folder")
        taken = {files.real(options.input_dir / name) for name in names} | set(map(files.real, _in_use(options)))
        for path in dict.fromkeys(path for name in names for path in self.paths(name).values()):
            if files.real(path) in taken:
                raise UserError(argument, f": {path} would be overwritten, which is needed. Remedy: another name")
            if path.is_dir():
                raise UserError(argument, f": {path} is a folder")
            files.make_folder(path.parent)


def _in_use(options: Options) -> list[Path]:
    """The files of weights that this run may read, and all known ones."""
    named = [value.rpartition(":")[0] for value in [options.blend] if value]
    named += [value.partition(":")[2] for value in (options.detector, options.restorer) if value and ":" in value]
    known = [entry.path for entry in catalogue.CATALOGUE.values()]
    return [choose_weights(options.model_dir)[0], *map(catalogue.find, named), *known]


def of_options(options: Options) -> SavedWeights | None:
    """The files that the options of `test.py` ask for."""
    if options.save_weights is None:
        return None
    folders = {variant: place.relative_to(options.output_dir) for variant, place in options.variants.items()}
    return SavedWeights(options.save_weights, folders, options.adapt != PER_PHOTO)
