"""The fine_tune_num experiment: many settings over a folder of photos, in one pass."""
