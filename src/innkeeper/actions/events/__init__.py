"""Browsers, events, sessions and carts, and the quarantine of invalid events."""
