"""Settings of the demo shop's team: rules, traits, segments, views, exports, sources, webhooks.

Addresses end in `.example`, which no host does.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.audiences import (
    audience_exports,
    consent,
    guest_views,
    segments,
    sql_queries,
    static_lists,
    subscriptions,
    traits,
)
from innkeeper.actions.bulk import import_sources
from innkeeper.actions.console import search
from innkeeper.actions.identity import rule_settings
from innkeeper.actions.paging import PageRequest
from innkeeper.resources.segments import TIMESTAMP
from innkeeper.rules.consent import UNSUBSCRIBED
from innkeeper.rules.identity_rules import Condition, IdentityRule
from innkeeper.store.work import Work

_AT_LEAST: Final = "is greater than or equal to"
RULE: Final = IdentityRule(
    "phone_and_birthday", (Condition(field="phone"), Condition(field="date_of_birth"))
)
"""The rule that merges members of the loyalty programme who were entered twice."""
TRAITS: Final[Mapping[str, Mapping[str, Any]]] = {
    "storeOrders": {
        "entity": "order",
        "function": "count",
        "rules": [{"field": "channel", "comparator": "is equal to", "values": ["BRANCH"]}],
    },
    "largestOrder": {
        "entity": "order",
        "function": "greatest",
        "field": "price",
        "currency": "EUR",
        "rules": [],
    },
}


def _in_the_past(field: str, number: int, unit: str) -> dict[str, Any]:
    return {
        "field": field,
        "comparator": "is in the past",
        "comparatorDataType": TIMESTAMP,
        "values": [number, unit],
    }


def _trait(name: str, least: int) -> dict[str, Any]:
    return {"location": "trait", "field": name, "comparator": _AT_LEAST, "values": [least]}


def _orders(least: int, *rules: Mapping[str, Any]) -> dict[str, Any]:
    count = {"comparator": _AT_LEAST, "values": [least]}
    return {"entity": "order", "count": count, "rules": [*rules]}


SEGMENTS: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "Champions": (
        {"entity": "guest", "rules": [_trait("rfmRecency", 4), _trait("rfmFrequency", 4)]},
    ),
    "Lapsed buyers": (
        _orders(2),
        {
            "entity": "session",
            "filterGroupType": "EXCLUDE",
            "rules": [_in_the_past("started_at", 30, "days")],
        },
    ),
    "Abandoned baskets": (
        {
            "sequence": [
                {"entity": "event", "type": "ADD"},
                {"entity": "order", "absent": True, "withinDays": 7},
            ]
        },
    ),
    "Never bought": (
        {"entity": "guest", "type": "customer", "rules": []},
        {"entity": "order", "filterGroupType": "EXCLUDE", "rules": []},
    ),
    "Store customers": ({"entity": "guest", "rules": [_trait("storeOrders", 1)]},),
    "Bought this quarter": (_orders(1, _in_the_past("ordered_at", 90, "days")),),
}
"""Name -> groups of the definition."""
TAGS: Final = {
    "Champions": ["loyalty"],
    "Store customers": ["loyalty", "stores"],
    "Lapsed buyers": ["win back"],
    "Abandoned baskets": ["win back"],
}
FIRST_REVISIONS: Final = {"Lapsed buyers": SEGMENTS["Lapsed buyers"][:1]}
"""Name -> groups of the definition before it was changed."""
VIEWS: Final = (
    (
        {
            "name": "Irish customers by last visit",
            "columns": ["email", "city", "trait.orderCount", "trait.lifetimeValue.EUR", "lastSeen"],
            "sort": "-lastSeen",
        },
        {"field": "country", "comparator": "is equal to", "values": ["IE"]},
    ),
    (
        {
            "name": "Spent 500 EUR or more",
            "columns": ["email", "country", "trait.lifetimeValue.EUR", "trait.lastOrderAt"],
            "sort": "-trait.lifetimeValue.EUR",
        },
        _trait("lifetimeValue.EUR", 500),
    ),
)
"""Shared views of the list of guests, each with its rule."""
QUERIES: Final = {
    "Bought in two currencies": "SELECT guest_ref FROM orders\nGROUP BY guest_ref\n"
    "HAVING count(DISTINCT core_currency_code) > 1",
    "Refunded": "SELECT DISTINCT guest_ref FROM orders\nWHERE core_status = 'REFUNDED'",
}
"""Name -> SQL of a segment."""
HOOK: Final = "https://hooks.example/harbour-and-hill"
SOURCE: Final = {
    "name": "Loyalty desk",
    "address": "https://files.example/loyalty-desk.csv",
    "entity": "guests",
    "mark_column": "Changed",
    "schedule": "WEEKLY",
}
DRAFT: Final = "Bought this quarter"
"""The segment that is not published."""
CONSENT: Final = ({"channel": "EMAIL", "field": "ext.newsletterWeekly", "values": UNSUBSCRIBED},)
EXPORTS: Final = (
    {
        "name": "Champions for the autumn mailing",
        "segment": "champions",
        "columns": ["email", "firstName", "lastName", "language", "trait.orderCount"],
        "guarded": True,
        "schedule": "WEEKLY",
    },
    {
        "name": "Lapsed buyers to win back",
        "segment": "lapsed_buyers",
        "columns": ["email", "firstName", "country", "trait.lastOrderAt"],
        "schedule": "DAILY",
        "definitionType": "DELTA",
    },
    {
        "name": "Store customers for the warehouse",
        "segment": "store_customers",
        "format": "PARQUET",
        "columns": ["ref", "city", "trait.storeOrders", "trait.largestOrder"],
    },
)


async def create_settings(work: Work) -> None:
    """Create what the team uses, and queue the calculation of segments and exports."""
    await consent.put_fields(work, CONSENT)
    for name, trait in TRAITS.items():
        await traits.put(work, name, trait)
    for name, groups in SEGMENTS.items():
        first = FIRST_REVISIONS.get(name, groups)
        with clock.simulated(clock.now() - timedelta(days=90)):
            body = {"name": name, "definition": _all_of(first), "tags": TAGS.get(name, [])}
            segment = await segments.create(work, body)
        if first is not groups:
            with clock.simulated(clock.now() - timedelta(days=40)):
                await segments.change(work, segment["ref"], {"definition": _all_of(groups)})
        if name != DRAFT:
            await segments.start(work, segment["ref"])
    for view, rule in VIEWS:
        guests = {"entity": "guest", "type": "customer", "rules": [rule]}
        await guest_views.create(work, {**view, "shared": True, "definition": _all_of([guests])})
    for name, sql in QUERIES.items():
        await sql_queries.save(work, name, sql)
    mailing = await static_lists.create(work, {"name": "Autumn mailing"})
    newest = await search.find_guests(work, "", PageRequest(limit=40), guest_type="customer")
    await static_lists.add(work, mailing["ref"], [guest["ref"] for guest in newest.items])
    for export in EXPORTS:
        created = await audience_exports.create(work, export)
        await audience_exports.start(work, created["ref"])
    await _connect(work)


async def _connect(work: Work) -> None:
    """Create an import source that was read, and a webhook whose messages were delivered. The
    segment of the webhook is a draft, so that nothing is sent to its address."""
    options = {"format": "csv", "compressed": False, "mapping": None}
    source = await import_sources.create(work, SOURCE, options)
    with clock.simulated(clock.now() - timedelta(days=1)):
        read_until = {"value": clock.now().date().isoformat()}
        await import_sources.succeed(work, source["ref"], read_until)
    friendly_id = segments.friendly_id(DRAFT)
    await subscriptions.put(work, "segment", friendly_id, HOOK)
    for hours, error in ((52, None), (28, "Example: the receiver responded 503."), (4, None)):
        at = clock.now() - timedelta(hours=hours)
        await work.run("demo.add_message", url=HOOK, at=at, error=error)


async def add_history(work: Work) -> None:
    """Add a run for each past week of the Live segments: those of their guests who existed then."""
    now = clock.now()
    week = timedelta(days=7)
    await work.run("demo.add_segment_runs", first=now - 12 * week, last=now - week)


def _all_of(groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"operator": "AND", "filterGroups": [*groups]}


async def add_rule(work: Work) -> None:
    """Add the rule by which the loyalty desk's duplicates are found."""
    if all(rule.name != RULE.name for rule in await rule_settings.list_rules(work)):
        await rule_settings.add_rule(work, RULE)
