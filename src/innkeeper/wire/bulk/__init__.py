"""Batches, imports and exports on the wire: files of records in and out."""
