"""The networks, one file each: pure functions of a params dict and a batch of images."""
