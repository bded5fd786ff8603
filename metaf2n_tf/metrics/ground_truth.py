"""Which ground truth belongs to which picture: the one of the same name, whatever the extension."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from metaf2n_tf.data import files, images
from metaf2n_tf.errors import UserError


class GroundTruths:
    """The pictures of a folder, by their path in it without the extension."""

    def __init__(self, folder: Path, recursive: bool):
        """List the folder; a UserError if there is nothing, or two pictures of one name."""
        paths = images.list_photos(folder, images.PICTURES, recursive, flag="--gt_dir")
        self.folder = folder
        self._paths = {path.relative_to(folder).with_suffix(""): path for path in paths}

    def find(self, name: Path) -> Path | None:
        """The ground truth of a picture that is called `name` in a folder of its own; None where there is none."""
        return self._paths.get(name.with_suffix(""))

    def crc32(self, name: Path) -> int | None:
        """The checksum of a picture's ground truth; None where there is none."""
        path = self.find(name)
        return None if path is None else files.crc32_of(path)

    def unused(self, names: Iterable[Path]) -> list[Path]:
        """Ground truths that belong to none of these pictures."""
        used = {name.with_suffix("") for name in names}
        return [path for name, path in self._paths.items() if name not in used]

    def read(self, name: Path, size: tuple[int, int]) -> np.ndarray:
        """Decode it.

        Args:
          name: as in `find`.
          size: (height, width) that it must have.

        Returns:
          uint8 (height, width, 3) RGB.

        Raises:
          UserError: there is none, it is unreadable or of another size.
        """
        path = self.find(name)
        if path is None:
            raise UserError(f"no ground truth of this name in {self.folder}")
        gt = images.read_rgb8(path)
        if gt.shape[:2] != size:
            found, expected = (f"{width}x{height}" for height, width in (gt.shape[:2], size))
            raise UserError(f"{path}: {found} pixels, but the picture to compare has {expected}")
        return gt
