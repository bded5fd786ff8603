"""One photo on arrays: face patches, adaptation, super-resolution, and what a report shows of it."""
