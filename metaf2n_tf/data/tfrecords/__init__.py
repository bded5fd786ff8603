"""Training crops in TFRecord files: cut, written, read and checked."""
