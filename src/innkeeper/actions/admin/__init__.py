"""What an operator keeps: workspaces, keys, users, configuration, jobs, the audit log."""
