"""Identity on the wire: rules, merges, what was guarded."""
