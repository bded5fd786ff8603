"""A photo with its faces drawn on it, to see what the detector found."""

from collections.abc import Sequence

import cv2
import numpy as np

from metaf2n_tf.faces.detect import Face

_SIDE = 1200
_USED, _LEFT_OUT, _POINT = (80, 255, 80), (170, 170, 170), (255, 220, 0)


def draw_faces(rgb: np.ndarray, used: Sequence[Face], left_out: Sequence[Face] = (), side: int = _SIDE) -> np.ndarray:
    """Draw boxes, landmarks, and each face's index and score.

    Args:
      rgb: uint8 (H, W, 3).
      used, left_out: faces in the photo's pixels; boxes of the latter are gray.
      side: pixels of the longer side, so that lines and text are the same size on every photo.

    Returns:
      uint8 (h, w, 3) of this side.
    """
    scale = side / max(rgb.shape[:2])
    size = [max(1, round(length * scale)) for length in rgb.shape[1::-1]]
    canvas = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)

    def place(x: float, y: float) -> tuple[int, int]:
        return round((x + 0.5) * scale), round((y + 0.5) * scale)

    for face, colour in [(face, _LEFT_OUT) for face in left_out] + [(face, _USED) for face in used]:
        x0, y0, x1, y1 = map(float, face.box)
        (left, top), corner = place(x0, y0), place(x1, y1)
        cv2.rectangle(canvas, (left, top), corner, colour, 2, cv2.LINE_AA)
        for x, y in face.landmarks.astype(float):
            cv2.circle(canvas, place(x, y), 4, _POINT, -1, cv2.LINE_AA)
        text = f"{face.index}: {face.score:.3f}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
        left = min(max(left, 0), size[0] - width - 4)
        bottom = max(top, height + 8)
        cv2.rectangle(canvas, (left, bottom - height - 8), (left + width + 4, bottom), colour, -1)
        cv2.putText(canvas, text, (left + 2, bottom - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
