"""How it looks from outside: decode, encode, dialects, the API description."""
