"""Identity over HTTP: rules, merges, blocked evidence."""
