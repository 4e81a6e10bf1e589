"""What a caller can do: one function each, one transaction per verb."""
