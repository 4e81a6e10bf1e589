"""HTTP: the ASGI application, its routes, authentication and middleware."""
