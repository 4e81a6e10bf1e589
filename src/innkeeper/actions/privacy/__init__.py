"""Privacy: erasure, subject access and the block list."""
