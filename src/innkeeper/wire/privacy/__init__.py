"""Privacy on the wire: erasure, subject access, searching files at rest."""
