"""Privacy over HTTP: erasure, subject access, search of stored files."""
