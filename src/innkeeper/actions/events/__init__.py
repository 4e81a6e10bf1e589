"""Browsers, events, sessions and carts, and the quarantine of what could not be attached."""
