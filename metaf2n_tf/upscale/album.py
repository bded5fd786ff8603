"""An album: photos of one camera, film or scan, to which the network is adapted once, on patches of all their faces.

Each photo's patches are those that it would be adapted on alone, or some of them.
"""

import hashlib
import json
import operator
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.upscale.patches import (
    PATCH_NUM_PER_IMG,
    PATCH_SIZE,
    Patches,
    check_patches,
    draw_patches,
    hold_out,
    seed_of,
    used_whole,
)

PER_PHOTO = "per_photo"
MOST_OF_A_PHOTO = 64  # patches: four faces, as many as are cut by default
_MOST_PIXELS = 1 << 18  # LQ pixels of all patches: 1024 of 16 x 16, 70 MB with HQ patches and W


def parse_adapt(text: str) -> str:
    """`per_photo` as it is; `album`, or `album:N`, as `album:64`: at most so many patches of a photo.

    Raises:
      UserError: anything else.
    """
    found = re.fullmatch(r"album(?::([1-9]\d{0,8}))?", text)
    if not found and text != PER_PHOTO:
        raise UserError(Argument("adapt", text), f": expected {PER_PHOTO}, album, or album:N for N patches a photo")
    return f"album:{found[1] or MOST_OF_A_PHOTO}" if found else text


def most_of_a_photo(adapt: str) -> int:
    """How many patches of each photo `parse_adapt` allows an album; 0 where there is none."""
    return int(adapt.partition(":")[2] or 0)


def identity(inputs: Mapping[Path, object]) -> str:
    """16 hex digits that tell an album from any other, of `{name: what tells a photo and its faces from others}`."""
    listed = sorted((name.as_posix(), plain(value)) for name, value in inputs.items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


class _Kept:
    """Patches of many photos: at most `of_a_photo` of each and `most` of all, equally many of each photo as far as it
    has them. Which, the photos' own generators draw: the order of the photos does not matter."""

    def __init__(self, of_a_photo: int, most: int):
        self._of_a_photo, self._most = of_a_photo, most
        self._kept: list[tuple[int, float, str, int, np.ndarray, np.ndarray]] = []

    def add(self, name: str, patches: Patches, rng: np.random.Generator) -> None:
        lot = rng.random()
        for turn, index in enumerate(rng.permutation(len(patches[0]))[: self._of_a_photo]):
            self._kept.append((turn, lot, name, int(index), patches[0][index].copy(), patches[1][index].copy()))
        self._kept = sorted(self._kept, key=operator.itemgetter(0, 1, 2))[: self._most]

    def patches(self) -> Patches | None:
        """All that are kept, in the order of the photos' names; None without any."""
        kept = sorted(self._kept, key=operator.itemgetter(2, 3))
        return (np.stack([one[4] for one in kept]), np.stack([one[5] for one in kept])) if kept else None


class Album:
    """The patches of many photos' faces, of which never more than 1024 of the default size are kept.

    faces: the number of each photo's faces so far.
    """

    def __init__(
        self,
        *,
        patch_size: int = PATCH_SIZE,
        patch_num_per_img: int = PATCH_NUM_PER_IMG,
        seed: int = 0,
        auto: bool = False,
        of_a_photo: int = MOST_OF_A_PHOTO,
    ):
        """See `MetaF2N.adapt`; of_a_photo: at most so many patches of each photo make the steps.

        Raises:
          UserError: patches of an impossible size or number.
        """
        check_patches(patch_size, patch_num_per_img)
        self._patch_size, self._count, self._seed, self._auto = patch_size, patch_num_per_img, seed, auto
        most = max(1, _MOST_PIXELS // (patch_size // SCALE) ** 2)
        self._steps = _Kept(of_a_photo, most)
        self._judges = _Kept(max(1, of_a_photo // 4), max(1, most // 4))
        self._whole: tuple[str, Patches] | None = None
        self.faces: dict[Path, int] = {}

    def add(self, name: Path, pairs: Sequence[Pair]) -> None:
        """Take the faces of one more photo.

        Args:
          name: of the photo, relative to the folder of photos.
          pairs: its (LQ, HQ) faces, uint8 (h, w, 3) and (4h, 4w, 3).
        """
        self.faces[name] = len(pairs)
        key, seed = name.as_posix(), seed_of(self._seed, name)
        patches, judges = draw_patches(pairs, self._patch_size, self._count, seed, self._auto)
        if used_whole(pairs, self._patch_size):
            self._whole = min(self._whole or (key, patches), (key, patches), key=operator.itemgetter(0))
            return
        rng = np.random.default_rng([*seed, 1])
        self._steps.add(key, patches, rng)
        if judges is not None:
            self._judges.add(key, judges, rng)

    @property
    def used_whole(self) -> bool:
        """Whether all faces are too small to cut: then the first one of the first photo, by name, is used whole."""
        return self._whole is not None and self._steps.patches() is None

    @property
    def patches(self) -> tuple[Patches, Patches | None]:
        """Those that the steps are made on, and those that judge them; as `draw_patches` gives them."""
        patches, judges = self._steps.patches(), self._judges.patches()
        if patches is None:
            none = draw_patches([], self._patch_size, self._count, self._seed, self._auto)
            return (self._whole[1], None) if self._whole else none
        if self._auto and judges is None:  # each photo has a single patch
            return hold_out(*patches, np.random.default_rng(self._seed))
        return patches, judges
