"""Innkeeper: a self-hosted customer data platform that speaks the Sitecore CDP APIs."""

__version__ = "0.1.0"
