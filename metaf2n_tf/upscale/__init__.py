"""Photos in, photos x4 out: face patches, adaptation, tiled super-resolution, results."""
