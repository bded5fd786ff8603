"""Weights: the file formats they arrive in, and the catalogue of the known ones."""
