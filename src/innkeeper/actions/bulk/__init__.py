"""Many records at once: batches, imports and exports of files."""
