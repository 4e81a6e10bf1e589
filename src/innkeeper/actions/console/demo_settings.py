"""Settings that the marketers of the demo shop have made: rules, traits, segments and exports."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.actions.audiences import audience_exports, consent, segments, static_lists, traits
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
    """Declare consent, create traits, segments, a list and exports, and queue their calculation."""
    await consent.put_fields(work, CONSENT)
    for name, trait in TRAITS.items():
        await traits.put(work, name, trait)
    for name, groups in SEGMENTS.items():
        definition = {"operator": "AND", "filterGroups": list(groups)}
        segment = await segments.create(work, {"name": name, "definition": definition})
        if name != "Bought this quarter":
            await segments.start(work, segment["ref"])
    mailing = await static_lists.create(work, {"name": "Autumn mailing"})
    newest = await search.find_guests(work, "", PageRequest(limit=40), guest_type="customer")
    await static_lists.add(work, mailing["ref"], [guest["ref"] for guest in newest.items])
    for export in EXPORTS:
        created = await audience_exports.create(work, export)
        await audience_exports.start(work, created["ref"])


async def add_rule(work: Work) -> None:
    """Add the rule by which the loyalty desk's duplicates are found."""
    if all(rule.name != RULE.name for rule in await rule_settings.list_rules(work)):
        await rule_settings.add_rule(work, RULE)
