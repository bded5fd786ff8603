"""One photo at a time, as `metaf2n serve` works on it: its faces are found, those that one ticks are learned from.

What is computed is what `metaf2n upscale` computes, but for the faces that are not ticked.
"""

import contextlib
import dataclasses
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from metaf2n_tf import progress
from metaf2n_tf.commands.runs.upscale_options import Options
from metaf2n_tf.commands.runs.upscale_session import Session
from metaf2n_tf.data import files, images
from metaf2n_tf.errors import Message
from metaf2n_tf.faces.finder import FaceFinder, Found
from metaf2n_tf.faces.preview import draw_faces
from metaf2n_tf.networks.sr import SCALE
from metaf2n_tf.report.pictures import VIEW_SIDE, reduce
from metaf2n_tf.upscale.face_source import FaceSource, placed
from metaf2n_tf.upscale.steps import Steps

Heard = Callable[[progress.Work, int], object]  # takes what is being done, and how much of it has been

_DRAWN_SIDE = 720  # pixels
_LQ, _RESULTS, _UNADAPTED = "LQ", "results", "unadapted"


class StoppedError(Exception):
    """The work was ended from outside."""


@dataclass(frozen=True)
class Opened:
    """A photo on the bench.

    place: a folder of its own, for its file and its results; size: (height, width) in pixels; found:
    its faces; rgb, drawn: uint8 (h, w, 3), reduced to be shown, the latter with its faces drawn on it; stopped: ends
    what is being made of it.
    """

    name: Path
    place: Path
    size: tuple[int, int]
    found: Found
    rgb: np.ndarray
    drawn: np.ndarray
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def file(self) -> Path:
        """A copy of the photo's file."""
        return self.place / _LQ / self.name

    def close(self) -> None:
        """Remove what was kept of it."""
        shutil.rmtree(self.place, ignore_errors=True)


@dataclass(frozen=True)
class Made:
    """A result. file: called and encoded as the command would have it; record: as in results.jsonl; remarks: on it."""

    file: Path
    record: dict
    remarks: list[Message]


class Workbench:
    """Weights, detector and restorer, built once.

    options: of `metaf2n upscale`, for what decides the pixels.
    """

    def __init__(self, options: Options, device: str, place: Path):
        """Load everything; `place` is a folder for the photos' own."""
        self._options = dataclasses.replace(options, face_dir=place)  # so that it looks for no face itself
        self._place, self._stopped = place, threading.Event()
        self._session = Session(self._options, device, None)
        model = self._session.model
        self._find = FaceFinder(
            options.detector, options.restorer, min_face=options.min_face, sr=lambda: model.unadapted
        )
        self._find.load()

    def stop(self) -> None:
        """End what is being made, and all that is to come, with a `StoppedError`."""
        self._stopped.set()

    def open(self, file: Path, name: str) -> Opened:
        """Take a copy of a photo, and find its faces.

        Args:
          file: the photo.
          name: what its owner calls it, which decides the patches, as for the command.

        Raises:
          UserError: it is no picture, or too large; OSError: it cannot be read.
        """
        photo = images.read_photo(file, max(SCALE, self._options.outscale))
        place = Path(tempfile.mkdtemp(dir=self._place))
        try:
            found = self._find(photo.rgb, name)
            levels, used = images.to_levels(photo.rgb), [face.face for face in found.restored]
            drawn = draw_faces(levels, used, found.unused + found.failed, _DRAWN_SIDE)
            opened = Opened(Path(name), place, photo.size, found, reduce(levels, VIEW_SIDE), drawn)
            for part in (_LQ, _RESULTS, _UNADAPTED):
                files.make_folder(place / part)
            files.write_bytes(opened.file, file.read_bytes())
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return opened

    def make(self, opened: Opened, ticked: Collection[int], steps: Steps, strength: float, heard: Heard) -> Made:
        """Adapt to the ticked faces and super-resolve the photo.

        Args:
          ticked: indices of faces that were found and restored.
          steps, strength: as `--fine_tune_num` and `--strength`.
          heard: is told how far it is.

        Raises:
          UserError: values that cannot be, or no place for the result; StoppedError: by `stop`, or `opened.stopped`.
        """
        opened.stopped.clear()
        return self._make(opened, _RESULTS, ticked, steps, strength, heard)

    def make_unadapted(self, opened: Opened, ticked: Collection[int], heard: Heard) -> Path:
        """The same without adaptation; raises as `make`."""
        return self._make(opened, _UNADAPTED, ticked, 0, 1.0, heard).file

    def _make(
        self, opened: Opened, results: str, ticked: Collection[int], steps: Steps, strength: float, heard: Heard
    ) -> Made:
        @contextlib.contextmanager
        def watch(work: progress.Work) -> Iterator[progress.Advance]:
            done = work.done

            def advance(amount: int) -> None:
                nonlocal done
                done += amount
                if self._stopped.is_set() or opened.stopped.is_set():
                    raise StoppedError
                heard(work, done)

            advance(0)
            yield advance

        options = dataclasses.replace(
            self._options,
            input_dir=opened.place / _LQ,
            face_dir=None,
            output_dir=opened.place / results,
            fine_tune_num=[steps],
            strength=[strength],
        )
        options.check()
        restored = [face for face in opened.found.restored if face.face.index in ticked]
        session = self._session.turned_to(options, FaceSource.given(placed(restored, opened.size)))
        with progress.watched_by(watch):
            pictures, computed = session.compute(opened.name)
        ((_, picture),), ((name, _),) = pictures.items(), computed.record["results"].items()
        file = options.output_dir / name
        files.write_bytes(file, picture)
        return Made(file, computed.record, computed.adaptation.remarks(computed.record["steps_used"]))


def view_of(file: Path) -> np.ndarray:
    """A result as it is shown: uint8 (h, w, 3), the longer side 2048 pixels at most."""
    return reduce(images.read_rgb8(file), VIEW_SIDE)


def bicubic(opened: Opened, size: tuple[int, int]) -> np.ndarray:
    """The photo in the size (height, width) of a result's view, uint8 (h, w, 3)."""
    larger = size[0] > opened.rgb.shape[0]
    return cv2.resize(opened.rgb, size[::-1], interpolation=cv2.INTER_CUBIC if larger else cv2.INTER_AREA)
