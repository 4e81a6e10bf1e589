"""Administration: workspaces, keys, users, configuration, jobs, the audit log."""
