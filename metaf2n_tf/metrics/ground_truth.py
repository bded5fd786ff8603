"""Which ground truth belongs to which picture: the one of the same name, whatever the extension."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files, images, listing
from metaf2n_tf.errors import UserError


class GroundTruths:
    """The pictures of a folder, by their path in it without the extension."""

    def __init__(self, folder: Path, recursive: bool):
        """List the folder; a UserError if there is nothing."""
        self.folder = folder
        self._paths = defaultdict(list)
        for path in listing.list_files(folder, images.PICTURES, recursive, argument="gt_dir"):
            self._paths[path.relative_to(folder).with_suffix("")].append(path)

    def find(self, name: Path) -> list[Path]:
        """Those of a picture that is called `name` in a folder of its own: one, unless it is missing or ambiguous."""
        return self._paths.get(name.with_suffix(""), [])

    def crc32(self, name: Path) -> int | None:
        """The checksum of a picture's ground truth; None where there is none that can be used."""
        found = self.find(name)
        try:
            return files.crc32_of(found[0]) if len(found) == 1 else None
        except OSError:  # it is named when it is read
            return None

    def unused(self, names: Iterable[Path]) -> list[Path]:
        """Ground truths that belong to none of these pictures."""
        used = {name.with_suffix("") for name in names}
        return [path for name, paths in self._paths.items() if name not in used for path in paths]

    def read(self, name: Path, size: tuple[int, int]) -> np.ndarray:
        """Decode it.

        Args:
          name: as in `find`.
          size: (height, width) that it must have.

        Returns:
          uint8 (height, width, 3) RGB.

        Raises:
          UserError: there is none or more than one, it is unreadable or of another size.
        """
        found = self.find(name)
        if not found:
            raise UserError(f"no ground truth of this name in {self.folder}")
        if len(found) > 1:
            raise UserError(f"{' and '.join(map(str, found))} both have this name. Remedy: leave one of them there")
        (path,) = found
        gt = images.read_rgb8(path)
        if gt.shape[:2] != size:
            found, expected = (f"{width}x{height}" for height, width in (gt.shape[:2], size))
            raise UserError(f"{path}: {found} pixels, but the picture to compare has {expected}")
        return gt
