"""`make bench-peers`: the same requests to Innkeeper and to systems from public registries."""
