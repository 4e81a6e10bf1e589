"""The screens: server-rendered pages for the people of a workspace."""
