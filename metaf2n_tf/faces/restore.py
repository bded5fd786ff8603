"""Face restorers: a photo and its faces in, (LQ, restored HQ) pairs out. `RESTORERS` is the table of them."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.data.images import to_levels
from metaf2n_tf.errors import UserError
from metaf2n_tf.faces import align
from metaf2n_tf.faces.choose import Choice
from metaf2n_tf.faces.cut import cut_published, face_slices
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.faces.exemplars.guided import NOT_FINITE, GuidedRestorer
from metaf2n_tf.faces.exemplars.persons import SIZE, Library
from metaf2n_tf.faces.source import Source
from metaf2n_tf.networks import gpen, kdfsrnet
from metaf2n_tf.tiles import SuperResolver, times_scale
from metaf2n_tf.weights.face_networks import load_gpen, load_kdfsrnet
from metaf2n_tf.weights.load import load_weights

logger = logging.getLogger(__name__)

_CONTEXT = 16  # least LQ pixels around a face that its super-resolution sees
_FACES_LITE_CONTEXT = 0.4  # of a face's longer side: what faces_lite saw around the faces that it was trained on
_KDFSRNET_SIZE = 256  # of the faces of MetaF2N's training; the network itself takes any
_GPU_BATCH = 4  # aligned faces at a time; on a CPU several at once are no faster, and take 0.7 GB more each


@dataclass(frozen=True)
class RestoredFace:
    """A face of a photo and its restoration.

    lq: uint8 (h, w, 3), cut from the photo; hq: uint8 (4h, 4w, 3), restored; aligned: the squares that the restorer
    took and gave, uint8 (S, S, 3) each, None for a restorer that needs no alignment.
    """

    face: Face
    lq: np.ndarray
    hq: np.ndarray
    aligned: tuple[np.ndarray, np.ndarray] | None = None


# uint8 (H, W, 3), its faces, and where they are from, in; those that could be restored out.
Restorer = Callable[[np.ndarray, list[Face], Source], list[RestoredFace]]


@dataclass(frozen=True)
class Setting:
    """What a restorer may need beside its weights.

    sr: gives the SR network's weights, `{name: array}`; published_crops: cut HQ faces as the published script does;
    save_aligned: the aligned faces are wanted, too; exemplar_dir, exemplar_map: HQ photos of persons and who is who,
    see `faces.exemplars.persons`; find_faces: detects faces in them, uint8 (H, W, 3) to faces.
    """

    sr: Callable[[], Mapping[str, np.ndarray]]
    published_crops: bool = False
    save_aligned: bool = False
    exemplar_dir: Path | None = None
    exemplar_map: Path | None = None
    find_faces: Callable[[np.ndarray], list[Face]] | None = None


class AlignedNetwork:
    """A network as a function of aligned faces, compiled once."""

    def __init__(self, params: Mapping[str, np.ndarray], size: int, restore: Callable):
        """Compile for faces of `size` pixels.

        Args:
          params: the network's.
          restore: (params, uint8 (N, S, S, 3)) to float32 levels in [0, 256) of that shape, tensors, to be cut off.
        """
        self.size = size
        self._params = {name: tf.constant(value) for name, value in params.items()}
        self._batch = _GPU_BATCH if tf.config.list_logical_devices("GPU") else 1
        faces = tf.TensorSpec((None, size, size, 3), tf.uint8)
        self._restore = tf.function(restore, autograph=False).get_concrete_function(self._params, faces)

    def __call__(self, squares: np.ndarray) -> np.ndarray:
        """Restore uint8 (N, S, S, 3) RGB faces to the same.

        Raises:
          UserError: the network's output is not finite.
        """
        restored = np.empty_like(squares)
        for first in range(0, len(squares), self._batch):
            batch = slice(first, first + self._batch)
            levels = self._restore(self._params, tf.constant(squares[batch])).numpy()
            if not np.isfinite(levels).all():
                raise UserError(NOT_FINITE)
            restored[batch] = levels
        return restored


def gpen_network(weights: Path) -> AlignedNetwork:
    """GPEN from its `.pth`, which says how large its faces are; levels are cut off, as published."""
    params = load_gpen(weights)

    def restore(params, levels):
        images = (tf.cast(levels, tf.float32) / 255.0 - 0.5) / 0.5
        return tf.clip_by_value(gpen.forward(params, images) * 0.5 + 0.5, 0.0, 1.0) * 255.0

    return AlignedNetwork(params, gpen.resolution(params), restore)


def kdfsrnet_network(weights: Path) -> AlignedNetwork:
    """KDFSRNet's student for faces of 256 pixels; levels are rounded as torchvision's `save_image` does."""

    def restore(params, levels):
        _, restored = kdfsrnet.forward(params, tf.cast(levels, tf.float32) / 255.0)
        return tf.clip_by_value(restored * 255.0 + 0.5, 0.0, 255.0)

    return AlignedNetwork(load_kdfsrnet(weights), _KDFSRNET_SIZE, restore)


def restore_aligned(
    network: Callable[[np.ndarray], Sequence[np.ndarray | None]], size: int, published_crops: bool
) -> Restorer:
    """A restorer out of a network that takes aligned faces.

    Args:
      network: uint8 (N, S, S, 3) to N of (S, S, 3); None for a face that it leaves out.
      size: S.
      published_crops: cut HQ faces as the published script does, 1.5 HQ pixels off their LQ faces.
    """

    def restore(rgb: np.ndarray, faces: list[Face], _: Source) -> list[RestoredFace]:
        if not faces:
            return []
        transforms = [align.fit_face(face.landmarks, size) for face in faces]
        rim = 0 if published_crops else 1
        squares = align.warp_to_squares(rgb, [forward for forward, _ in transforms], size, rim)
        found = []
        for face, (_, inverse), square, restored in zip(faces, transforms, squares, network(squares), strict=True):
            if restored is None:
                continue
            if published_crops:
                canvas = align.published_canvas_x4(restored, inverse, rgb.shape[:2])
                lq, hq = cut_published(rgb, canvas, face)
            else:
                rows, cols = face_slices(face, rgb.shape[:2])
                lq = rgb[rows, cols]
                hq = align.paste_x4(restored, inverse, lq, (rows.start, cols.start))
            found.append(RestoredFace(face, lq, hq, (square, restored)))
        return found

    return restore


def _aligned(name: str, make_network: Callable[[Path], AlignedNetwork], weights: Path, setting: Setting) -> Restorer:
    network = make_network(weights)
    logger.info(f"{name}: takes faces of {network.size} pixels")
    return restore_aligned(network, network.size, setting.published_crops)


_gpen = functools.partial(_aligned, "gpen", gpen_network)
_kdfsrnet = functools.partial(_aligned, "kdfsrnet", kdfsrnet_network)


def _asffnet(weights: Path, setting: Setting) -> Restorer:
    """ASFFNet (Li et al., 2020), which needs HQ photos of the same person."""
    if setting.exemplar_dir is None:
        raise UserError(
            "--restorer asffnet: needs HQ photos of the persons. Remedy: generate_test_faces.py with --exemplar_dir, "
            "and its faces as --face_dir"
        )
    library = Library(setting.exemplar_dir, setting.exemplar_map)
    logger.info(f"exemplars: of {', '.join(library.persons)}")
    guided = GuidedRestorer(weights, library, setting.find_faces)

    def restore(rgb: np.ndarray, faces: list[Face], photo: Source) -> list[RestoredFace]:
        network = functools.partial(guided, photo=photo, indices=[face.index for face in faces])
        return restore_aligned(network, SIZE, setting.published_crops)(rgb, faces, photo)

    return restore


def _widen(part: slice, length: int, context: int) -> tuple[slice, slice]:
    """A slice with context, and the original slice relative to it."""
    wide = slice(max(part.start - context, 0), min(part.stop + context, length))
    return wide, slice(part.start - wide.start, part.stop - wide.start)


def restore_in_place(restore_crop: Callable[[np.ndarray], np.ndarray], context: float = 0.0) -> Restorer:
    """A restorer that takes faces as they lie in the photo, so that nothing is resampled.

    Args:
      restore_crop: float32 (h, w, 3) in [0, 1] to uint8 (4h, 4w, 3).
      context: how much of a face's longer side it is shown on each side of it, beside the least there is.
    """

    def restore(rgb: np.ndarray, faces: list[Face], _: Source) -> list[RestoredFace]:
        found = []
        for face in faces:
            rows, cols = face_slices(face, rgb.shape[:2])
            around = max(_CONTEXT, round(context * max(rows.stop - rows.start, cols.stop - cols.start)))
            wide_rows, inner_rows = _widen(rows, rgb.shape[0], around)
            wide_cols, inner_cols = _widen(cols, rgb.shape[1], around)
            hq = restore_crop(np.float32(rgb[wide_rows, wide_cols]) / np.float32(255))
            hq = hq[times_scale(inner_rows), times_scale(inner_cols)]
            found.append(RestoredFace(face, rgb[rows, cols], hq))
        return found

    return restore


def _refuse_alignment(name: str, setting: Setting) -> None:
    for flag in ("published_crops", "save_aligned"):
        if getattr(setting, flag):
            raise UserError(f"--{flag}: {name} does not align faces. Remedy: --restorer gpen")


def _self_ensemble(setting: Setting) -> Restorer:
    """The mean of the SR network's outputs over the 8 flips and rotations: no face restorer, only the network's own
    best guess."""
    _refuse_alignment("self_ensemble", setting)
    resolver, params = SuperResolver(), {name: tf.constant(value) for name, value in setting.sr().items()}

    def restore_crop(lq: np.ndarray) -> np.ndarray:
        total = 0.0
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(lq, turns)
                view = view[:, ::-1] if flip else view
                out = resolver(params, np.ascontiguousarray(view))
                total = total + np.rot90(out[:, ::-1] if flip else out, -turns)
        return to_levels(total / 8)

    return restore_in_place(restore_crop)


def _faces_lite(weights: Path, setting: Setting) -> Restorer:
    """Our own: an SR network trained on faces, which takes them as they lie in the photo."""
    _refuse_alignment("faces_lite", setting)
    resolver = SuperResolver()
    params = {name: tf.constant(value) for name, value in load_weights(weights).sr.items()}
    return restore_in_place(lambda lq: resolver(params, lq, depth=8), _FACES_LITE_CONTEXT)


RESTORERS = {
    "gpen": Choice(_gpen, "gpen-bfr-512"),
    "gpen_256": Choice(_gpen, "gpen-bfr-256"),
    "gpen_1024": Choice(_gpen, "gpen-bfr-1024"),
    "gpen_2048": Choice(_gpen, "gpen-bfr-2048"),
    "asffnet": Choice(_asffnet, "asffnet"),
    "kdfsrnet": Choice(_kdfsrnet, "kdfsrnet"),
    "faces_lite": Choice(_faces_lite, "faces-lite"),
    "self_ensemble": Choice(_self_ensemble),
}
PREFERRED = ("gpen", "faces_lite")

NOTES = {
    "self_ensemble": "self_ensemble is no face restorer: expect a little tint and brightness from it, not detail",
}
