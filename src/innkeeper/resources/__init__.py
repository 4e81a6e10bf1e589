"""Typed declarations of every resource and of the values that fields accept. No I/O."""
