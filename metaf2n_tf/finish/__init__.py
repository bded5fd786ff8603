"""What is done to the network's x4 picture before it is written."""
