"""Segments, what is computed of guests, and what is handed to other tools."""
