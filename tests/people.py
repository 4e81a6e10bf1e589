"""Generated people with known duplicates: the same for a seed, and fast enough for a million."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

FIRST = (
    *("Aoife", "Seán", "Zoë", "Jane", "John", "María", "Łukasz", "Chloé", "Tom", "Ana", "Björn"),
    *("Priya", "Wei", "Fatima", "Igor", "Olga", "Ken", "Yuki", "Ada", "Grace", "Alan", "Linus"),
)
LAST = (
    *("Ó Néill", "Doe", "Smith", "Müller", "García", "Novák", "Kowalska", "Dubois", "Rossi"),
    *("Silva", "Kim", "Nguyen", "Ivanov", "Andersson", "O'Brien", "van Dijk", "Haddad", "Okafor"),
)
CITIES = (
    ("Dublin", "IE"),
    ("København", "DK"),
    ("Köln", "DE"),
    ("São Paulo", "BR"),
    ("Rome", "IT"),
)
DUPLICATES = 0.1
"""Share of records that are of somebody who came before."""


def people(seed: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the person, a record of it), without end.

    Of a person who comes again the e-mail address is spelt in another case, and a field differs.
    """
    random_ = random.Random(seed)
    count = 0
    while True:
        if count and random_.random() < DUPLICATES:
            yield (again := random_.randrange(count)), _record(seed, again, repeated=True)
        else:
            yield count, _record(seed, count)
            count += 1


def _record(seed: int, number: int, *, repeated: bool = False) -> dict[str, Any]:
    own = random.Random(seed * 1_000_003 + number)
    first, last = own.choice(FIRST), own.choice(LAST)
    city, country = own.choice(CITIES)
    email = f"{first}.{number}@Example.com".replace(" ", "")
    email = email.encode("ascii", "ignore").decode()
    return {
        "guestType": "customer",
        "firstName": first,
        "lastName": last,
        "email": email.upper() if repeated else email,
        "dateOfBirth": f"{own.randrange(1940, 2006)}-{own.randrange(1, 13):02}-11T00:00Z",
        "phoneNumbers": [f"+3538{own.randrange(10**8):08}"],
        "city": "Cork" if repeated else city,
        "country": country,
        "identifiers": [
            {"provider": "email", "id": email.upper() if repeated else email},
            {"provider": "CRM", "id": f"C-{number}"},
        ],
        "extensions": [{"name": "ext", "key": "default", "tier": own.choice(("gold", "iron"))}],
    }


def lines(seed: int, many: int) -> Iterator[bytes]:
    """Records as NDJSON."""
    for _, record in islice(people(seed), many):
        yield json.dumps(record, separators=(",", ":")).encode() + b"\n"


def distinct(seed: int, many: int) -> int:
    """How many people the first records are about."""
    return len({number for number, _ in islice(people(seed), many)})
