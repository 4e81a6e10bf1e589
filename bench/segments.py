"""Twenty segments, each beside the DuckDB query that somebody would write by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Question:
    """A definition, and the same question as SQL over the same files (`{day}` is today, UTC)."""

    name: str
    definition: dict[str, Any]
    sql: str


def rule(field: str, comparator: str, *values: Any, **more: Any) -> dict[str, Any]:
    return {"field": field, "comparator": comparator, "values": list(values), **more}


def group(entity: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"entity": entity, "rules": list(rules), **more}


def at_least(number: float, **more: Any) -> dict[str, Any]:
    return {"comparator": "is greater than or equal to", "values": [number], **more}


def groups(*those: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"filterGroups": list(those), **more}


# Sums are rounded: of floating numbers they depend on the order in which threads add them.
LIVE = "SELECT meta_ref FROM guests WHERE type <> 'RETIRED'"
BOUGHT = "coalesce(core_status, '') NOT IN ('CANCELLED', 'DECLINED', 'BROWSED', 'SEARCHED', "
SOLD = BOUGHT + "'PENDING', 'PAYMENT_PENDING', 'RESERVED', 'UNKNOWN', 'REFUNDED')"

TWENTY = [
    Question(
        "city",
        groups(group("guest", rule("city", "is equal to", "Cork"))),
        f"{LIVE} AND core_city = 'Cork'",
    ),
    Question(
        "customers by mail domain",
        groups(group("guest", rule("email", "ends with", "@example.com"), type="customer")),
        "SELECT meta_ref FROM guests WHERE type = 'CUSTOMER' AND core_email LIKE '%@example.com'",
    ),
    Question(
        "seen in the past 3 days",
        groups(group("guest", rule("lastSeen", "is in the past", 3, "days"))),
        f"{LIVE} AND core_last_seen_at >= '{{day}}'::TIMESTAMPTZ - INTERVAL 2 DAY "
        "AND core_last_seen_at < '{day}'::TIMESTAMPTZ + INTERVAL 1 DAY",
    ),
    Question(
        "not seen in the past 6 months",
        groups(group("guest", rule("lastSeen", "is not in the past", 6, "months"))),
        f"{LIVE} AND NOT (core_last_seen_at::DATE > '{{day}}'::DATE - INTERVAL 6 MONTH "
        "AND core_last_seen_at::DATE <= '{day}'::DATE)",
    ),
    Question(
        "no city, or one of three",
        groups(
            group(
                "guest",
                rule("city", "is null"),
                rule("city", "includes any of", "Cork", "Sligo", "Paris"),
                ruleOperator="OR",
            )
        ),
        f"{LIVE} AND (core_city IS NULL OR core_city IN ('Cork', 'Sligo', 'Paris'))",
    ),
    Question(
        "viewed in the past 7 days",
        groups(group("event", rule("createdAt", "is in the past", 7, "days"), type="VIEW")),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM events WHERE type = 'VIEW' "
        "AND meta_created_at >= '{day}'::TIMESTAMPTZ - INTERVAL 6 DAY "
        "AND meta_created_at < '{day}'::TIMESTAMPTZ + INTERVAL 1 DAY)",
    ),
    Question(
        "at least 5 views",
        groups(group("event", type="VIEW", count=at_least(5))),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM events WHERE type = 'VIEW' "
        "GROUP BY 1 HAVING count(*) >= 5)",
    ),
    Question(
        "at least 3 adds in the past 90 days",
        groups(
            group(
                "event",
                rule("createdAt", "is in the past", 90, "days"),
                type="ADD",
                count=at_least(3),
            )
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM events WHERE type = 'ADD' "
        "AND meta_created_at >= '{day}'::TIMESTAMPTZ - INTERVAL 89 DAY "
        "AND meta_created_at < '{day}'::TIMESTAMPTZ + INTERVAL 1 DAY "
        "GROUP BY 1 HAVING count(*) >= 3)",
    ),
    Question(
        "never searched",
        groups(group("event", type="SEARCH", filterGroupType="EXCLUDE")),
        f"{LIVE} AND meta_ref NOT IN (SELECT guest_ref FROM events WHERE type = 'SEARCH')",
    ),
    Question(
        "fewer than 2 events",
        groups(group("event", count={"comparator": "is less than", "values": [2]})),
        f"{LIVE} AND meta_ref NOT IN (SELECT guest_ref FROM events GROUP BY 1 "
        "HAVING count(*) >= 2)",
    ),
    Question(
        "views of a page on the web",
        groups(
            group(
                "event",
                rule("page", "contains", "offer"),
                rule("channel", "is equal to", "WEB"),
                type="VIEW",
            )
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM events WHERE type = 'VIEW' "
        "AND core_page LIKE '%offer%' AND core_channel = 'WEB')",
    ),
    Question(
        "spent at least 500 euro",
        groups(
            group(
                "order",
                rule("status", "includes any of", "PURCHASED", "CONFIRMED"),
                sum=at_least(500, field="price", currency="EUR"),
            )
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM orders WHERE core_currency_code = 'EUR' "
        "AND core_status IN ('PURCHASED', 'CONFIRMED') GROUP BY 1 "
        "HAVING round(sum(core_price), 6) >= 500)",
    ),
    Question(
        "bought, but not in the past 90 days",
        groups(
            group("order", rule("status", "is equal to", "PURCHASED")),
            group(
                "order", rule("orderedAt", "is in the past", 90, "days"), filterGroupType="EXCLUDE"
            ),
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM orders WHERE core_status = 'PURCHASED') "
        "AND meta_ref NOT IN (SELECT guest_ref FROM orders WHERE guest_ref IS NOT NULL "
        "AND core_ordered_at >= '{day}'::TIMESTAMPTZ - INTERVAL 89 DAY "
        "AND core_ordered_at < '{day}'::TIMESTAMPTZ + INTERVAL 1 DAY)",
    ),
    Question(
        "two orders or a loyalty tier",
        groups(
            group("order", count=at_least(2)),
            group("guest", rule("tier", "is equal to", "gold", location="loyalty")),
            operator="OR",
        ),
        f"{LIVE} AND (meta_ref IN (SELECT guest_ref FROM orders GROUP BY 1 HAVING count(*) >= 2) "
        "OR meta_ref IN (SELECT guest_ref FROM extensions WHERE name = 'loyalty' "
        "AND key = 'tier' AND value = 'gold'))",
    ),
    Question(
        "more than 500 points",
        groups(
            group(
                "guest",
                rule("points", "is greater than", 500, location="loyalty")
                | {"comparatorDataType": "number"},
            )
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM extensions WHERE name = 'loyalty' "
        "AND key = 'points' AND number > 500)",
    ),
    Question(
        "a tier other than gold",
        groups(
            group(
                "guest",
                rule("tier", "is not null", location="loyalty"),
                rule("tier", "is not equal to", "gold", location="loyalty"),
            )
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM extensions WHERE name = 'loyalty' "
        "AND key = 'tier' AND value <> 'gold')",
    ),
    Question(
        "recency, frequency, value",
        groups(
            group(
                "guest",
                rule("lastOrderAt", "is in the past", 180, "days", location="trait"),
                rule("orderCount", "is greater than or equal to", 2, location="trait"),
                rule("lifetimeValue.EUR", "is greater than", 200, location="trait"),
            )
        ),
        f"{LIVE} AND meta_ref IN (SELECT guest_ref FROM orders WHERE {SOLD} GROUP BY 1 "
        "HAVING count(*) >= 2 AND max(core_ordered_at) >= '{day}'::TIMESTAMPTZ - INTERVAL 179 DAY "
        "AND max(core_ordered_at) < '{day}'::TIMESTAMPTZ + INTERVAL 1 DAY) "
        "AND meta_ref IN (SELECT guest_ref FROM orders WHERE core_currency_code = 'EUR' AND "
        f"{SOLD.replace(', ' + repr('REFUNDED'), '')} GROUP BY 1 HAVING round(sum("
        "CASE WHEN core_status = 'REFUNDED' AND core_price >= 0 THEN 0 ELSE core_price END), 6) "
        "> 200)",
    ),
    Question(
        "viewed, then added within a day",
        groups(
            {
                "sequence": [
                    {"entity": "event", "type": "VIEW"},
                    {"entity": "event", "type": "ADD", "withinDays": 1},
                ]
            }
        ),
        f"{LIVE} AND meta_ref IN (SELECT a.guest_ref FROM (SELECT guest_ref, "
        "meta_created_at AS at FROM events WHERE type = 'ADD') AS a "
        "ASOF JOIN (SELECT guest_ref, meta_created_at AS at FROM events WHERE type = 'VIEW') AS v "
        "ON v.guest_ref = a.guest_ref AND a.at > v.at WHERE a.at <= v.at + INTERVAL 1 DAY)",
    ),
    Question(
        "added, then no order within 7 days",
        groups(
            {
                "sequence": [
                    {"entity": "event", "type": "ADD"},
                    {"entity": "order", "absent": True, "withinDays": 7},
                ]
            }
        ),
        f"{LIVE} AND meta_ref IN (SELECT a.guest_ref FROM (SELECT guest_ref, "
        "meta_created_at AS at FROM events WHERE type = 'ADD') AS a ASOF LEFT JOIN orders AS o "
        "ON o.guest_ref = a.guest_ref AND o.core_ordered_at > a.at "
        "WHERE o.guest_ref IS NULL OR o.core_ordered_at > a.at + INTERVAL 7 DAY)",
    ),
    Question(
        "viewed, added, then no order ever, in Cork",
        groups(
            group("guest", rule("city", "is equal to", "Cork")),
            {
                "sequence": [
                    {"entity": "event", "type": "VIEW"},
                    {"entity": "event", "type": "ADD"},
                    {"entity": "order", "absent": True},
                ]
            },
        ),
        f"{LIVE} AND core_city = 'Cork' AND meta_ref IN (SELECT guest_ref FROM ("
        "SELECT a.guest_ref, max(a.at) AS at FROM (SELECT guest_ref, meta_created_at AS at "
        "FROM events WHERE type = 'ADD') AS a JOIN (SELECT guest_ref, min(meta_created_at) AS at "
        "FROM events WHERE type = 'VIEW' GROUP BY 1) AS v ON v.guest_ref = a.guest_ref "
        "AND a.at > v.at GROUP BY 1) AS e WHERE NOT EXISTS (SELECT 1 FROM orders AS o "
        "WHERE o.guest_ref = e.guest_ref AND o.core_ordered_at > e.at))",
    ),
]


def generated(now: datetime, guests: int, events: int, orders: int) -> dict[str, list[str]]:
    """Table -> SELECTs of its rows, a file each: made of hashes, so the same for everyone.

    Events come in files of a million, as flushes and compactions leave them.
    """
    end = now.astimezone(UTC).isoformat()
    ref = "CAST(md5({}) AS UUID)::VARCHAR"

    def of(seed: int, most: int, what: str = "i") -> str:
        return f"CAST(hash({what}, {seed}) % {most} AS BIGINT)"

    def named(letter: str) -> str:
        return ref.format(f"'{letter}' || i")

    def guest(seed: int) -> str:
        # Some guests do much, most do little.
        skewed = f"CAST(pow({of(seed, 1_000_000)} / 1e6, 2) * {guests} AS BIGINT)"
        return ref.format(f"'g' || {skewed}")

    def at(seed: int, days: int) -> str:
        seconds = of(seed, days * 86_400)
        return f"'{end}'::TIMESTAMPTZ - to_seconds({seconds}::DOUBLE)"

    people = (
        f"SELECT {named('g')} AS meta_ref, {at(1, 700)} AS meta_created_at, "
        f"'{end}'::TIMESTAMPTZ AS meta_modified_at, "
        f"CASE {of(2, 3)} WHEN 0 THEN 'CUSTOMER' ELSE 'VISITOR' END AS type, "
        f"{at(3, 365)} AS core_last_seen_at, "
        f"[NULL, 'Cork', 'Sligo', 'Paris', 'Dublin', 'Lyon'][{of(4, 6)} + 1] AS core_city, "
        f"'g' || i || ['@example.com', '@example.org'][{of(5, 2)} + 1] AS core_email "
        f"FROM range({guests}) AS r(i)"
    )
    pairs = (
        f"SELECT {named('g')} AS guest_ref, 'loyalty' AS name, "
        "['tier', 'points'][i % 2 + 1] AS key, "
        f"CASE i % 2 WHEN 0 THEN ['gold', 'silver'][{of(6, 2)} + 1] "
        f"ELSE CAST({of(7, 1000)} AS VARCHAR) END AS value, "
        f"CASE i % 2 WHEN 1 THEN CAST({of(7, 1000)} AS DOUBLE) END AS number, "
        "['string', 'number'][i % 2 + 1] AS value_type "
        f"FROM range({guests // 2}) AS r(i)"
    )
    sold = (
        f"SELECT {named('o')} AS meta_ref, {guest(8)} AS guest_ref, "
        f"{at(9, 365)} AS core_ordered_at, round({of(10, 20000)} / 100, 2) AS core_price, "
        f"['EUR', 'USD'][{of(11, 2)} + 1] AS core_currency_code, "
        f"['PURCHASED', 'CONFIRMED', 'CANCELLED', 'REFUNDED', 'PENDING'][{of(12, 5)} + 1] "
        f"AS core_status FROM range({orders}) AS r(i)"
    )
    size = 1_000_000
    done = [
        f"SELECT {named('e')} AS meta_ref, {guest(13)} AS guest_ref, "
        f"{at(14, 365)} AS meta_created_at, "
        f"['VIEW', 'VIEW', 'VIEW', 'VIEW', 'VIEW', 'SEARCH', 'ADD', 'IDENTITY'][{of(15, 8)} + 1] "
        f"AS type, ['WEB', 'MOBILE_APP'][{of(16, 2)} + 1] AS core_channel, "
        f"['/home', '/offer/1', '/offer/2', '/about'][{of(17, 4)} + 1] AS core_page "
        f"FROM range({start}, {min(start + size, events)}) AS r(i)"
        for start in range(0, events, size)
    ]
    return {"guests": [people], "extensions": [pairs], "orders": [sold], "events": done}


def midnight(now: datetime) -> str:
    """Today, as the hand-written queries take it."""
    return now.astimezone(UTC).date().isoformat()
