"""MetaF2N on arrays: weights loaded once, then any photo is adapted to with its faces and super-resolved.

What `test.py` does with files, `scripts/fine_tune_experiment.py` with many settings and a notebook with its own arrays.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from metaf2n_tf.faces.restored import Pair
from metaf2n_tf.meta import inner_loop
from metaf2n_tf.networks import masknet, sr
from metaf2n_tf.tiles import DEFAULT_TILE, SuperResolver, areas, times_scale
from metaf2n_tf.upscale.adaptation import Adaptation, Adapter
from metaf2n_tf.upscale.album import Album
from metaf2n_tf.upscale.patches import PATCH_NUM_PER_IMG, PATCH_SIZE, Patches, check_patches, draw_patches
from metaf2n_tf.weights.load import Weights, choose_weights, load_weights

_MASK_TILE = 96  # LQ pixels


class MetaF2N:
    """An SR network with its MaskNet, compiled once for all photos.

    weights: what was loaded; task_lr: the learning rate that suits it, or the learned rate of each variable.
    """

    def __init__(
        self,
        model_dir: str | Path | None = None,
        *,
        tile: int = DEFAULT_TILE,
        tile_pad: int | None = None,
        blend: str | None = None,
        precision: str = "float32",
        xla: bool = False,
    ):
        """Load the weights.

        Args:
          model_dir: a published checkpoint (prefix or folder), Real-ESRGAN's .pth or .safetensors, ncnn's .bin,
            .npz, or a name of the catalogue; None for the published checkpoint where it is, else the shipped weights.
          tile, tile_pad: LQ pixels that are super-resolved at once (0: the whole photo), and their context (None: what
            the network sees).
          blend: other weights of the same network and their share, FILE:SHARE.
          precision: of the super-resolution: float32, bfloat16, float16, or auto: see `SuperResolver`.
          xla: compile the residual blocks of the fine-tuning steps, as `runtime.xla_pays` says for the device.

        Raises:
          UserError: no usable weights there, or impossible tiles.
        """
        self.resolver = SuperResolver(tile, tile_pad, precision)
        self.weights: Weights = load_weights(choose_weights(model_dir)[0], blend)
        self.task_lr: inner_loop.Rates = self.weights.task_lr
        self._adapter = Adapter(self.weights, xla)

    @property
    def mode(self) -> str:
        """How the fine-tuning steps are computed: graph or XLA."""
        return self._adapter.mode

    @property
    def tile_pad(self) -> int:
        """Context pixels around a tile."""
        pad = self.resolver.tile_pad
        return sr.receptive_field(self.weights.sr) if pad is None else pad

    @property
    def unadapted(self) -> sr.Params:
        """The SR network's weights as they were loaded."""
        return self._adapter.params

    def adapt(
        self,
        faces: Sequence[Pair],
        *,
        task_lr: inner_loop.Rates | None = None,
        patch_size: int = PATCH_SIZE,
        patch_num_per_img: int = PATCH_NUM_PER_IMG,
        seed: int | Sequence[int] = 0,
        auto: bool = False,
    ) -> Adaptation:
        """Prepare the inner loop of one photo, which always starts from the loaded weights.

        Args:
          faces: (LQ, HQ) pairs of the photo, uint8 (h, w, 3) and (4h, 4w, 3) RGB; without any, nothing is adapted.
          task_lr: learning rate; None for `self.task_lr`.
          patch_size: side of the HQ patches, a multiple of 4.
          patch_num_per_img: patches a face.
          seed: of their positions.
          auto: keep a quarter of the patches out of the steps, so that they can choose their number; else all make the
            steps, as published, and further ones judge them. A single patch cannot be judged.

        Returns:
          Its `trajectory([0, 1, 5])` yields `(steps, params)`, the params for `upscale`; with `auto`, its `best(10)` is
          such a pair.

        Raises:
          UserError: patches of an impossible size or number.
        """
        check_patches(patch_size, patch_num_per_img)
        return self._adapt_on(task_lr, *draw_patches(faces, patch_size, patch_num_per_img, seed, auto))

    def adapt_together(self, album: Album, *, task_lr: inner_loop.Rates | None = None) -> Adaptation:
        """Prepare the inner loop of all photos of an album; see `adapt`."""
        return self._adapt_on(task_lr, *album.patches)

    def _adapt_on(self, task_lr: inner_loop.Rates | None, patches: Patches, held_out: Patches | None) -> Adaptation:
        return Adaptation(self._adapter, patches, self.task_lr if task_lr is None else task_lr, held_out)

    def upscale(self, rgb: np.ndarray, params: sr.Params | None = None, depth: int | None = 8) -> np.ndarray:
        """Super-resolve a photo x4.

        Args:
          rgb: float32 (H, W, 3) RGB in [0, 1].
          params: adapted weights; None for the loaded ones.
          depth: 8 or 16 for rounded uint8 or uint16 levels; None for float32, not clipped.

        Returns:
          (4H, 4W, 3) RGB.
        """
        return self.resolver(self.unadapted if params is None else params, rgb, depth)

    def weight_map(self, lq: np.ndarray, hq: np.ndarray) -> np.ndarray | None:
        """How far MaskNet trusts each pixel of a restored face; in tiles, so that large faces fit into memory.

        Args:
          lq, hq: the pair, uint8 (h, w, 3) and (4h, 4w, 3) RGB.

        Returns:
          W, float32 (4h, 4w); None where there is no MaskNet, which means 1 everywhere.
        """
        if self.weights.mask is None:
            return None
        params = {name: tf.constant(value) for name, value in self.weights.mask.items()}
        lq, hq = (x.astype(np.float32) / np.float32(255) for x in (lq, hq))
        result = np.empty(hq.shape[:2], np.float32)
        for window, place, kept in areas(lq.shape[:2], _MASK_TILE, masknet.CONTEXT):
            hq_window = tuple(map(times_scale, window))
            weights = masknet.forward(params, *(tf.constant(x[None]) for x in (lq[window], hq[hq_window])))
            result[place] = weights.numpy()[0, ..., 0][kept]
        return result
