"""Training of KDFSRNet: a teacher that sees parsing maps, and a student that learns from it."""
