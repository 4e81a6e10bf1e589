"""The commands: thin, they call actions."""
