"""The faces of a photo: found, restored, and cut out as pairs to adapt to."""

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import Argument, Message, UserError
from metaf2n_tf.faces import align, detect, restorers
from metaf2n_tf.faces.crop import select_faces
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.registry import choose
from metaf2n_tf.faces.restored import Pair, PhotoRestorer, RestoredFace, Source
from metaf2n_tf.weights.load import file_identity

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """What became of a photo's faces.

    restored: those that were used; failed: those that could not be restored, as they are nobody's of whom there are
    exemplars; unused: those that were found and left out, as too small, too many or impossible to align.
    """

    restored: list[RestoredFace]
    failed: list[Face]
    unused: list[Face]

    @property
    def pairs(self) -> list[Pair]:
        """(LQ, HQ) of each restored face, uint8 (h, w, 3) and (4h, 4w, 3) RGB, in the detector's order."""
        return [(face.lq, face.hq) for face in self.restored]


def _rounded(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The levels of a photo, uint8 for restorers and float32 for detectors, rounded once."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not (rgb.dtype == np.uint8 or np.issubdtype(rgb.dtype, np.floating)):
        raise ValueError(f"expected uint8 or float (H, W, 3), not {rgb.dtype} {rgb.shape}")
    if rgb.dtype == np.uint8:
        return rgb, rgb.astype(np.float32)
    levels = np.round(np.clip(rgb, 0.0, 1.0) * 255)
    return levels.astype(np.uint8), levels.astype(np.float32, copy=False)


class FaceFinder:
    """A detector and a restorer, built once for all photos, by `load` or when the first is seen.

    detector, restorer: their names; detector_weights, restorer_weights: the identity of what their weight files hold,
    None where they have none of their own.
    """

    def __init__(
        self,
        detector: str | None = None,
        restorer: str | None = None,
        *,
        confidence: float = detect.CONFIDENCE,
        min_face: int = 0,
        max_faces: int = 0,
        published_crops: bool = False,
        exemplar_dir: Path | None = None,
        exemplar_map: Path | None = None,
        sr: Callable[[], Mapping] | None = None,
    ):
        """Choose both; which were chosen is logged.

        Args:
          detector, restorer: names in `detect.DETECTORS` and `restorers.of_photos()`, with `:WEIGHTS` for a file of
            one's own; None for the best whose weights are there, or can be fetched.
          confidence: lowest score of a face, above 0, at most 1.
          min_face: least LQ pixels of a face's shorter side.
          max_faces: how many of a photo's largest faces are used; 0 for all.
          published_crops: cut HQ faces as the published script does, 1.5 pixels off their LQ faces.
          exemplar_dir, exemplar_map: HQ photos of persons and who is who, for a restorer that takes exemplars; see
            `faces.exemplars.persons`.
          sr: gives the SR network's params, `{name: array or tensor}`, which self_ensemble restores with; for a
            `MetaF2N` `lambda: model.unadapted`.

        Raises:
          UserError: no such name, its weights are not there, it cannot do what is asked for, or a value makes no sense.
        """
        if not 0 < confidence <= 1:
            raise UserError(Argument("confidence", confidence), ": above 0, and at most 1")
        for argument, value in (("min_face", min_face), ("max_faces", max_faces)):
            if value < 0:
                raise UserError(Argument(argument, value), ": cannot be negative")
        self._confidence = confidence
        self._select = functools.partial(select_faces, min_face=min_face, max_faces=max_faces)
        self.detector, weights, why = choose("detector", detector, detect.DETECTORS, detect.PREFERRED)
        self.restorer, own, why_own = choose("restorer", restorer, restorers.of_photos(), restorers.defaults())
        logger.info(f"detector: {self.detector} ({weights or 'needs no file'}){why}")
        logger.info(f"restorer: {self.restorer} ({own or 'needs no file'}){why_own}")
        note = restorers.RESTORERS[self.restorer].note
        if note:
            logger.info(f"note: {note}")
        if published_crops:
            restorers.check_aligns("published_crops", self.restorer)
        self.detector_weights, self.restorer_weights = (path and file_identity(path) for path in (weights, own))

        @functools.cache
        def build() -> tuple[detect.Detect, PhotoRestorer]:
            detector = detect.DETECTORS[self.detector].build(*filter(None, [weights]))
            find_faces = functools.partial(detect.detect_faces, detector)
            needs = restorers.Needs(sr, exemplar_dir, exemplar_map, find_faces)
            return detector, restorers.load(self.restorer, own, needs).for_photos(published_crops)

        self._build = build

    def load(self) -> None:
        """Build both now, before any photo is seen.

        Raises:
          UserError: weights that cannot be used, or exemplars that are missing, or that the restorer does not take.
        """
        self._build()

    def __call__(self, rgb: np.ndarray, name: str | Path = "photo") -> Found:
        """Find the faces of a photo, and restore those that are used.

        Args:
          rgb: (H, W, 3) RGB, uint8 or floats in [0, 1].
          name: the photo's path relative to the folder of photos, by which a restorer with exemplars may know whose the
            faces are.

        Raises:
          UserError: the restorer's weights cannot be used on them.
        """
        levels, float_levels = _rounded(rgb)
        detector, restore = self._build()
        faces = detect.detect_faces(detector, float_levels, self._confidence)
        used = self._select([face for face in faces if align.can_fit(face.landmarks)], levels.shape[:2])
        restored = restore(levels, used, Source(Path(name), len(faces)))
        done = [found.face for found in restored]
        failed = [face for face in used if face not in done]
        smallest = restorers.RESTORERS[self.restorer].smallest
        if small := sum(min(found.lq.shape[:2]) < smallest for found in restored):
            told = f"{name}: {small} of its faces under {smallest} LQ pixels, too small for {self.restorer} to help"
            logger.warning(Message(told, ". Remedy: ", Argument("min_face", smallest), " leaves them out"))
        return Found(restored, failed, [face for face in faces if face not in used])

    def pairs(self, rgb: np.ndarray, name: str | Path = "photo") -> list[Pair]:
        """The (LQ, HQ) faces of a photo, uint8 (h, w, 3) and (4h, 4w, 3) RGB; see `__call__`."""
        return self(rgb, name).pairs
