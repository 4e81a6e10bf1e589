"""The screens: server-rendered pages of a workspace, for signed-in users."""
