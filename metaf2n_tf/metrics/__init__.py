"""Measures of quality: against a ground truth, without one, and of whole sets of pictures."""
