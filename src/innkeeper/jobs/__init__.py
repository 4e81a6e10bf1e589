"""Background work: thin tasks that call actions."""
