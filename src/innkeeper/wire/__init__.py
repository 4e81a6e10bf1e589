"""The HTTP representation: decoding, encoding, dialects and the API description."""
