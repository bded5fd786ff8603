"""Faces of a photo: detect, align, restore, crop."""
