"""Measures of quality against a ground truth."""
