"""How names are spelled on the wire."""

from innkeeper.resources.naming import camel

__all__ = ["camel"]
