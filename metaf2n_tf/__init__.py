"""MetaF2N in TensorFlow 2: blind x4 super-resolution by fine-tuning on the faces in a photo (Yin et al., ICCV 2023)."""

__version__ = "0.1.0"
