"""Faces of a photo: detect, align, restore, cut."""
