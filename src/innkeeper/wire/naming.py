"""How names are spelt on the wire: snake_case inside, camelCase outside, and nowhere else."""

from functools import cache


@cache
def camel(name: str) -> str:
    """`date_of_birth` as `dateOfBirth`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
