"""Makes LQ/ of GT/, as datasets/sample/README.md says: blur, x4 down, noise, JPEG.

python datasets/sample/degrade.py
"""

from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
BLUR_SIGMA, NOISE_SIGMA, JPEG_QUALITY = 2.0, 4.0, 70

for path in sorted((HERE / "GT").glob("*.png")):
    gt = cv2.imread(str(path))
    height, width = gt.shape[0] // 4, gt.shape[1] // 4
    lq = cv2.resize(cv2.GaussianBlur(gt, (0, 0), BLUR_SIGMA), (width, height), interpolation=cv2.INTER_AREA)
    noisy = lq + np.random.default_rng(0).normal(0, NOISE_SIGMA, lq.shape)
    levels = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    cv2.imwrite(str(HERE / "LQ" / path.name), cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
