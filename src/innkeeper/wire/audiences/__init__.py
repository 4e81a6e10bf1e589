"""Segments, audience exports and reports on the wire."""
