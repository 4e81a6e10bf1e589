"""Split a person's full name into first and last name."""

from typing import Final

_PARTICLES: Final = frozenset(
    [
        "van",
        "von",
        "de",
        "der",
        "den",
        "da",
        "di",
        "del",
        "della",
        "dello",
        "la",
        "le",
        "el",
        "bin",
        "binti",
        "ten",
        "ter",
        "zu",
        "zum",
        "zur",
        "dos",
        "das",
        "du",
        "al",
        "ibn",
        "af",
        "av",
        "o'",
        "mac",
        "mc",
    ]
)
_SUFFIXES: Final = frozenset(["jr", "sr", "ii", "iii", "iv", "phd", "md", "esq", "mba", "dds"])


def split_full_name(text: str) -> tuple[str | None, str | None]:
    """Return (first name, last name); `Byron, Ada` and `Ada Byron` are the same.

    A last name begins at its particle (`van Dyck`). One word alone is a first name.
    """
    last, comma, first = (part.strip() for part in text.partition(","))
    if comma and first and first.lower().replace(".", "") not in _SUFFIXES:
        return first, last or None
    words = text.replace(",", " ").split()
    if not words:
        return None, None
    start = len(words) - 1
    while start > 1 and words[start].lower().replace(".", "") in _SUFFIXES:
        start -= 1
    for position in range(1, start):
        if words[position].lower() in _PARTICLES:
            start = position
            break
    if start == 0:
        return words[0], None
    return " ".join(words[:start]), " ".join(words[start:])
