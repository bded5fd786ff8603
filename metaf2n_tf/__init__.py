"""MetaF2N in TensorFlow 2: blind x4 super-resolution by fine-tuning on the faces in a photo (Yin et al., ICCV 2023)."""

import os

# OpenCV reads these when it is loaded: the limit of a picture's size is ours (data/size.py), and so is what is said.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**40))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

__version__ = "0.1.0"
