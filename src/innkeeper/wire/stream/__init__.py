"""Streams on the wire: messages, endpoints, quarantine."""
