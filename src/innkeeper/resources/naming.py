"""Convert declared names to the spelling of callers: snake_case inside, camelCase outside."""

from functools import cache

from innkeeper.errors import Problem


@cache
def camel(name: str) -> str:
    """Spell `date_of_birth` as `dateOfBirth`, and `order_items[0].href` as `orderItems[0].href`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def field_problem(name: str, reason: str) -> Problem:
    """Return the problem of a declared field, or of a path that begins with one."""
    return Problem(camel(name), reason)
