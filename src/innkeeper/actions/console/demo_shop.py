"""Generate the people of the demo shop and their actions, from a seed alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

POINTS_OF_SALE: Final = (
    {
        "name": "harbourandhill.com",
        "market": "Ireland",
        "brand": "Harbour & Hill",
        "language": "en",
    },
    {"name": "harbourandhill.co.uk", "market": "UK", "brand": "Harbour & Hill", "language": "en"},
    {"name": "harbourandhill.us", "market": "USA", "brand": "Harbour & Hill", "language": "en"},
    {"name": "Dublin store", "market": "Ireland", "brand": "Harbour & Hill", "language": "en"},
)
_SITES: Final = {"GB": ("harbourandhill.co.uk", "GBP"), "US": ("harbourandhill.us", "USD")}
_SITE: Final = ("harbourandhill.com", "EUR")
"""Point of sale and currency of a customer, by country and for all others."""
MONTHS: Final = 18
_FIRST: Final = (
    "Aoife Ciara Niamh Saoirse Órla Sinéad Róisín Emma Grace Sophie Anna Clara Maya Zoë Léa Inés "
    "Marta Elena Ingrid Freya Astrid Hannah Julia Laura Nora Olivia Priya Aisha Fatima Mei Yuki "
    "Seán Conor Cian Oisín Fionn Declan Eoin Patrick Liam Jack James Thomas Luca Matteo Hugo "
    "Lukas Felix Jonas Erik Lars Mateo Diego Pablo Tomasz Jakub Marek Arjun Ravi Omar Yusuf "
    "Kenji Wei David Daniel Michael Robert William Henry George Arthur Oscar Noah Adam Samuel"
).split()
_LAST: Final = (
    "Murphy Kelly O'Sullivan Walsh Byrne Ryan O'Connor O'Neill O'Reilly Doyle McCarthy Gallagher "
    "Doherty Kennedy Lynch Murray Quinn Moore McLoughlin Carroll Connolly Daly Wilson Dunne "
    "Brennan Burke Collins Campbell Clarke Johnston Hughes Farrell Fitzgerald Brown Martin Smith "
    "Jones Taylor Williams Davies Evans Thomas Roberts Green Hall Wood Harris Lewis Robinson "
    "García Fernández Rossi Ricci Müller Schmidt Weber Fischer Dubois Laurent Moreau Kowalski "
    "Nowak Wiśniewski Jansen Andersson Nilsson Hansen Olsen Patel Sharma Khan Ali Chen Wang Tanaka"
).split()
_CITIES: Final = (
    *(("Dublin", "IE", "+35386"), ("Dublin", "IE", "+35387"), ("Cork", "IE", "+35385")),
    *(("Galway", "IE", "+35383"), ("Limerick", "IE", "+35386"), ("Belfast", "GB", "+44770")),
    *(("London", "GB", "+44771"), ("Edinburgh", "GB", "+44772"), ("Manchester", "GB", "+44773")),
    *(("Boston", "US", "+1617555"), ("Portland", "US", "+1503555")),
    *(("Berlin", "DE", "+49151"), ("Paris", "FR", "+3361"), ("Amsterdam", "NL", "+3161")),
)
_STREETS: Final = ("Main Street", "Harbour Road", "Mill Lane", "Church Street", "Castle Avenue")
_PRODUCTS: Final = (
    *(
        ("RAIN-01", "Skellig rain jacket", "JACKET", 149),
        ("FLEE-02", "Wicklow fleece", "FLEECE", 79),
    ),
    *(("BOOT-03", "Mweelrea boots", "FOOTWEAR", 189), ("SOCK-04", "Merino socks", "ACCESSORY", 18)),
    *(("TENT-05", "Burren two-person tent", "TENT", 329), ("PACK-06", "Daypack 24 l", "BAG", 95)),
    *(("STOV-07", "Camp stove", "COOKING", 64), ("BOTT-08", "Steel bottle", "ACCESSORY", 27)),
    *(("SLEE-09", "Down sleeping bag", "SLEEPING", 219), ("HAT-10", "Wool hat", "ACCESSORY", 25)),
    *(("KAYA-11", "Touring kayak", "WATER", 899), ("WETS-12", "Wetsuit 4/3", "WATER", 169)),
    *(("MAPS-13", "Waterproof map set", "ACCESSORY", 34), ("LAMP-14", "Head lamp", "LIGHT", 45)),
)
_VARIANTS: Final = {
    "JACKET": ("S, green", "M, green", "M, navy", "L, navy"),
    "FLEECE": ("S", "M", "L"),
    "FOOTWEAR": ("40", "42", "44"),
    "WATER": ("red", "blue"),
}
"""Type of a product -> sizes and colours in which it is sold."""
_CAMPAIGNS: Final = (
    *(("newsletter", "email", "autumn"), ("newsletter", "email", "welcome")),
    *(("google", "cpc", "rain-jackets"), ("google", "cpc", "brand")),
    *(("instagram", "social", "kerry-way"), ("outdoor-journal", "referral", "tent-test")),
)
"""Source, medium and name of each campaign."""
_PAGES: Final = ("/", "/jackets", "/footwear", "/tents", "/sale", "/journal/kerry-way", "/stores")
_VIEWS: Final = (1, 1, 1, 2, 2, 3, 4, 6, 8)
"""Pages of a visit, by how often a visit has so many."""
_AGENTS: Final = (
    ("WEB", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"),
    ("WEB", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"),
    ("MOBILE_WEB", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"),
    ("MOBILE_WEB", "Mozilla/5.0 (Linux; Android 15; Pixel 9)"),
    ("MOBILE_APP", "HarbourHill/4.2 (iPhone)"),
)
_SEASON: Final = (0.7, 0.7, 0.9, 1.1, 1.3, 1.2, 1.1, 1.0, 0.9, 1.0, 1.6, 1.9)


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One step of a story: an event of a browser, an order in a store, an import."""

    at: datetime
    kind: str
    """`event`, `order` or `import`."""
    browser: int = 0
    """Number of the person's browser, from 0."""
    content: dict[str, Any] = field(default_factory=dict)
    agent: str = ""


def story(seed: int, number: int, now: datetime) -> list[DemoStep]:
    """Return the steps of the guest with that number in `MONTHS` months, oldest first."""
    chance = Random(f"{seed}/{number}")  # noqa: S311 - a story, not a secret
    person = _person(chance, number)
    kind = chance.random()
    if kind < 0.40:
        steps = list(_anonymous_visits(chance, now))
    elif kind < 0.54:
        steps = list(_newsletter_visits(chance, person, now))
    else:
        steps = list(_customer_visits(chance, person, number, now))
    _set_site(steps, person["country"])
    return sorted(steps, key=lambda step: step.at)


def current_visit(number: int, now: datetime) -> list[DemoStep]:
    """Return the steps of the anonymous visitor with that number within the last hour."""
    chance = Random(f"now/{number}")  # noqa: S311 - a story, not a secret
    channel, agent = chance.choice(_AGENTS)
    at = now - timedelta(minutes=chance.randrange(3, 55))
    steps = list(_page_views(chance, at, 0, channel, agent, chance.choice(_VIEWS)))
    _set_site(steps, chance.choice(("IE", "IE", "GB", "US")))
    return [step for step in steps if step.at < now]


def _set_site(steps: Iterable[DemoStep], country: str) -> None:
    """Set the point of sale and the currency of events."""
    site, currency = _SITES.get(country, _SITE)
    for step in steps:
        if step.kind == "event":
            step.content.update(pos=site, currency=currency)
            if step.content["type"] == "ADD":
                step.content["product"]["currency"] = currency


def choose_name(chance: Random) -> tuple[str, str, str]:
    """Choose a first name and a last name; return them and the beginning of an e-mail address."""
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    plain = f"{first}.{last}".lower().translate(
        str.maketrans("áéíóúëüöñśźćłżß", "aeioueuonszclzs", "'")
    )
    return first, last, plain


def _person(chance: Random, number: int) -> dict[str, Any]:
    first, last, plain = choose_name(chance)
    city, country, prefix = chance.choice(_CITIES)
    host = chance.choice(("example.com", "example.org", "mail.example", "post.example"))
    return {
        "first_name": first,
        "last_name": last,
        "email": f"{plain}{number}@{host}",
        "phone_numbers": [
            f"{prefix}{chance.randrange(10**6, 10**7)}"[: 12 if prefix.startswith("+1") else 13]
        ],
        "street": [f"{chance.randrange(1, 120)} {chance.choice(_STREETS)}"],
        "city": city,
        "country": country,
        "gender": chance.choice(("female", "male", "unknown")),
        "date_of_birth": f"{chance.randrange(1950, 2006)}-{chance.randrange(1, 13):02}-"
        f"{chance.randrange(1, 28):02}",
        "language": "de" if country == "DE" else "en",
    }


def _random_time(chance: Random, now: datetime, days: int) -> datetime:
    """Return a random time in the last `days`, more often recent, by day, in spring and before
    Christmas."""
    while True:
        back = days * chance.random() ** 1.25
        at = (now - timedelta(days=back)).replace(
            hour=int(min(23, max(6, chance.gauss(16, 4)))), minute=chance.randrange(60)
        )
        if at < now - timedelta(minutes=50) and chance.random() * 1.9 < _SEASON[at.month - 1]:
            return at


def _anonymous_visits(chance: Random, now: datetime) -> Iterator[DemoStep]:
    """Yield the visits of an anonymous visitor in the last five months."""
    channel, agent = chance.choice(_AGENTS)
    for _ in range(chance.choice((1, 1, 1, 2))):
        at = _random_time(chance, now, 150)
        yield from _page_views(chance, at, 0, channel, agent, chance.choice(_VIEWS))
        if chance.random() < 0.15:
            product = _variant(chance, chance.choice(_PRODUCTS))
            yield _add_event(at + timedelta(minutes=6), 0, (channel, agent), product)


def _newsletter_visits(chance: Random, person: dict[str, Any], now: datetime) -> Iterator[DemoStep]:
    """Yield the visits of a person who subscribed to the newsletter."""
    channel, agent = chance.choice(_AGENTS)
    times = sorted(_random_time(chance, now, 500) for _ in range(chance.choice((1, 1, 2))))
    yield from _page_views(chance, times[0], 0, channel, agent, 1)
    yield _identity_event(times[0] + timedelta(minutes=3), 0, channel, agent, person)
    for at in times[1:]:
        yield from _page_views(chance, at, 0, channel, agent, chance.choice(_VIEWS))


def _customer_visits(
    chance: Random, person: dict[str, Any], number: int, now: datetime
) -> Iterator[DemoStep]:
    """Yield the steps of a customer: visits, online orders and orders in a store."""
    channel, agent = chance.choice(_AGENTS)
    member = chance.random() < 0.45
    if member:
        person = {**person, "identifiers": [{"provider": "CRM", "id": f"C{100000 + number}"}]}
    times = sorted(
        _random_time(chance, now, 545) for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5)))
    )
    is_identified = False
    for turn, at in enumerate(times):
        # A second device, not identified yet: the e-mail address merges it.
        browser = 1 if turn and chance.random() < 0.14 else 0
        reference = f"HH-{at:%y%m}{number:05}{turn}"
        if chance.random() < 0.25:
            yield DemoStep(at, "order", 0, _store_order(chance, person, reference, at, "BRANCH"))
            continue
        yield from _page_views(chance, at, browser, channel, agent, 1)
        if browser or not is_identified:
            yield _identity_event(at + timedelta(minutes=3), browser, channel, agent, person)
            is_identified = True
        if chance.random() < 0.62:
            yield from _purchase(chance, person, reference, at, browser, (channel, agent))
        elif chance.random() < 0.4:
            product = _variant(chance, chance.choice(_PRODUCTS))
            yield _add_event(at + timedelta(minutes=5), browser, (channel, agent), product)
    if member and chance.random() < 0.06:
        # The loyalty desk entered the person again, with another address and a typo.
        last = person["last_name"]
        twin = {**person, "email": f"{last.lower()}.{number}@work.example", "identifiers": None}
        twin["last_name"] = last[:-2] + last[-1] + last[-2]
        yield DemoStep(times[-1] + timedelta(minutes=30), "import", 0, twin)


def _event(
    at: datetime, browser: int, agent: tuple[str, str], type_: str, **members: Any
) -> DemoStep:
    message = {"type": type_, "channel": agent[0], "language": "EN", **members}
    return DemoStep(at, "event", browser, message, agent[1])


def _page_views(
    chance: Random, at: datetime, browser: int, channel: str, agent: str, pages: int
) -> Iterator[DemoStep]:
    """Yield the pages of a visit that ends before minute 20, perhaps with a search."""
    campaign = chance.choice(_CAMPAIGNS) if chance.random() < 0.3 else None
    for turn in range(pages):
        page = chance.choice(_PAGES)
        if campaign and not turn:
            source, medium, name = campaign
            page += f"?utm_source={source}&utm_medium={medium}&utm_campaign={name}"
        yield _event(at, browser, (channel, agent), "VIEW", page=page)
        at += timedelta(seconds=min(150, 6 + chance.expovariate(1 / 45)))
    if chance.random() < 0.12:
        word = chance.choice(("boots", "tent", "rain jacket", "kayak"))
        yield _event(
            at, browser, (channel, agent), "SEARCH", product_name=word, product_type="GEAR"
        )


def _identity_event(
    at: datetime, browser: int, channel: str, agent: str, person: dict[str, Any]
) -> DemoStep:
    identifiers = [{"provider": "email", "id": person["email"]}]
    identifiers += person.get("identifiers") or []
    return _event(
        at,
        browser,
        (channel, agent),
        "IDENTITY",
        identifiers=identifiers,
        email=person["email"],
        firstname=person["first_name"],
        lastname=person["last_name"],
        mobile=person["phone_numbers"][0],
        city=person["city"],
        country=person["country"],
        gender=person["gender"],
        dob=person["date_of_birth"],
    )


def _variant(chance: Random, product: tuple[str, str, str, int]) -> dict[str, Any]:
    """Return a product in one of its sizes or colours, as a line of a cart."""
    product_id, name, kind, price = product
    item_id = product_id
    if kind in _VARIANTS:
        variant = chance.choice(_VARIANTS[kind])
        item_id, name = f"{product_id} {variant}", f"{name} {variant}"
    return {"item_id": item_id, "productId": product_id, "name": name, "type": kind, "price": price}


def _add_event(
    at: datetime, browser: int, agent: tuple[str, str], product: dict[str, Any]
) -> DemoStep:
    return _event(at, browser, agent, "ADD", product={**product, "quantity": 1})


def _purchase(
    chance: Random,
    person: dict[str, Any],
    reference: str,
    at: datetime,
    browser: int,
    agent: tuple[str, str],
) -> Iterator[DemoStep]:
    sampled = chance.sample(_PRODUCTS, chance.choice((1, 1, 2, 3)))
    products = [_variant(chance, product) for product in sampled]
    start = at + timedelta(minutes=5)
    for turn, product in enumerate(products):
        step = timedelta(seconds=40 * turn)
        yield _add_event(start + step, browser, agent, product)
    later = start + timedelta(minutes=3)
    bought = [{"item_id": product["item_id"]} for product in products]
    later += timedelta(minutes=1)
    yield _event(later, browser, agent, "CONFIRM", product=bought)
    later += timedelta(seconds=30)
    yield _event(later, browser, agent, "CHECKOUT", reference_id=reference, status="PURCHASED")


def _store_order(
    chance: Random, person: dict[str, Any], reference: str, at: datetime, channel: str
) -> dict[str, Any]:
    sampled = chance.sample(_PRODUCTS, chance.choice((1, 2, 2, 3)))
    products = [_variant(chance, product) for product in sampled]
    _, currency = _SITES.get(person["country"], _SITE)
    card = chance.choice(("Visa", "Mastercard", "Amex"))
    return {
        "order": {
            "reference_id": reference,
            "ordered_at": at,
            "currency_code": currency,
            "price": sum(product["price"] for product in products),
            "payment_type": "Card",
            "card_type": card,
            "point_of_sale": "Dublin store",
            "channel": channel,
            "status": chance.choice(("PURCHASED",) * 5 + ("CONFIRMED", "REFUNDED")),
        },
        "items": [
            {
                **{name: product[name] for name in ("name", "type", "price")},
                "product_id": product["productId"],
                "currency_code": currency,
                "quantity": 1,
                "status": "PURCHASED",
                "reference_id": f"{reference}-{turn}",
            }
            for turn, product in enumerate(products)
        ],
        "contact": {
            "first_name": person["first_name"],
            "last_name": person["last_name"],
            "emails": [person["email"]],
            "identifiers": [{"provider": "email", "id": person["email"]}],
        },
        "ext": {
            "firstTimeOrder": chance.random() < 0.4,
            "storeLocation": "Dublin",
            "totalUnits": len(products),
            "giftWrapped": chance.random() < 0.1,
        },
    }
