"""Batches, imports and exports over HTTP, and the files of records that they read and write."""
