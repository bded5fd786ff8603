"""Sharp photos of the same person, the exemplars, that guide the restoration of a face."""
