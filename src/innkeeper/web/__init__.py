"""The door: application, routes, authentication, middleware."""
