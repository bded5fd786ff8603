"""Training squares in TFRecord files: cut, written, read and checked."""
