"""Meta-learning: the inner loop that adapts the super-resolution network to one task."""
