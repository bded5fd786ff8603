"""The fine_tune_num experiment: many configurations over a folder of photos, in one pass."""
