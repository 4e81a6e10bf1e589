"""Segments, computed traits, reports, audience exports and webhooks."""
