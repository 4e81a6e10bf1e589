"""Segments, computed traits, audience exports and reports over HTTP."""
