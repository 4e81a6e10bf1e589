"""Seed 000's dialect: what it changes on the guest paths, which `open` keys are served."""

from innkeeper.resources.guests import VISITOR
from innkeeper.resources.kinds import OneOf
from innkeeper.wire.official import GUEST, GUEST_EXTENSION
from innkeeper.wire.views import Shape

GENDERS = ("Male", "Female", "Other", "Unknown")


def gender_word(stored: str) -> str | None:
    """A stored gender as seed 000 spells it; a word outside its four is left out (N-7)."""
    word = stored.capitalize()
    return word if word in GENDERS else None


OPEN_GUEST = GUEST.but(
    required=frozenset(),
    defaults={"guest_type": VISITOR},
    accept={"gender": OneOf(GENDERS, any_case=True)},
    show={"gender": gender_word},
    deleted=204,
)

OPEN_GUEST_EXTENSION = GUEST_EXTENSION.but(
    names=None,
    single_form=True,
    shape=Shape.ARRAY_UNLESS_PAGED,
    deleted=204,
    options={},
)
