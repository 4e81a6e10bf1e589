"""Reports: questions about all guests at once, in a time zone of the reader's choice.

Each is SQL with named placeholders that are replaced in the tree, so that both engines run it
and no value is ever part of a text.
"""

# ruff: noqa: S608 - the texts are made of this module's own words

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlglot import exp, parse_one

from innkeeper.lake.revenue_sql import ADDED, BOUGHT, PAID, REVENUE
from innkeeper.lake.rfm_sql import SCORES, scored
from innkeeper.lake.segment_sql import chain_ends
from innkeeper.resources.definitions import AND
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.segments import SequenceStep


def _between(column: str) -> str:
    return f"{column} >= CAST(:start AS TIMESTAMPTZ) AND {column} < CAST(:until AS TIMESTAMPTZ)"


def _period(column: str) -> str:
    return f"CAST(date_trunc(:unit, {column} AT TIME ZONE :zone) AS DATE)"


@dataclass(frozen=True)
class Report:
    """One report: its columns, its SQL, what a chart of it shows."""

    name: str
    title: str
    columns: tuple[str, ...]
    sql: str
    value: str
    """The column that a chart draws."""


REPORTS: Final = {
    report.name: report
    for report in (
        Report(
            "revenue",
            "Orders bought and revenue over time, by currency",
            ("period", "currency", "orders", "revenue"),
            f"SELECT {_period('core_ordered_at')} AS period, core_currency_code AS currency, "
            f"count(CASE WHEN {BOUGHT} THEN 1 END) AS orders, {REVENUE} "
            f"FROM orders WHERE {PAID} AND {_between('core_ordered_at')} "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            "revenue",
        ),
        Report(
            "abandoned",
            "Abandoned revenue over time, by currency",
            ("period", "currency", "sessions", "revenue"),
            f"SELECT {_period('core_started_at')} AS period, core_currency_code AS currency, "
            "count(*) AS sessions, round(sum(core_abandoned_revenue), 2) AS revenue FROM sessions "
            f"WHERE core_cart_type = 'ABANDONED' AND {_between('core_started_at')} "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            "revenue",
        ),
        Report(
            "products",
            "Products that brought most revenue, in each currency",
            ("product", "currency", "quantity", "revenue"),
            # Ranked within its currency: amounts of two currencies do not compare.
            "SELECT product, currency, quantity, revenue FROM (SELECT product, currency, "
            "quantity, revenue, row_number() OVER "
            "(PARTITION BY currency ORDER BY revenue DESC, product) AS rank FROM ("
            "SELECT coalesce(core_product_id, core_name) AS product, "
            "core_currency_code AS currency, "
            f"sum(CASE WHEN {BOUGHT} THEN coalesce(core_quantity, 1) ELSE 0 END) AS quantity, "
            f"round(sum(({ADDED}) * coalesce(core_quantity, 1)), 2) AS revenue FROM order_items "
            f"WHERE {PAID} AND ({BOUGHT} OR core_price < 0) AND {_between('core_ordered_at')} "
            "GROUP BY 1, 2) AS added) AS ranked WHERE rank <= :most "
            "ORDER BY currency, revenue DESC, product",
            "revenue",
        ),
        Report(
            "pages",
            "Pages viewed most",
            ("page", "views", "guests"),
            "SELECT core_page AS page, count(*) AS views, count(DISTINCT guest_ref) AS guests "
            f"FROM events WHERE type = 'VIEW' AND core_page IS NOT NULL "
            f"AND {_between('meta_created_at')} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT :most",
            "views",
        ),
        Report(
            "events",
            "Events over time, by type",
            ("period", "type", "events", "guests"),
            f"SELECT {_period('meta_created_at')} AS period, type, count(*) AS events, "
            "count(DISTINCT guest_ref) AS guests FROM events "
            f"WHERE {_between('meta_created_at')} GROUP BY 1, 2 ORDER BY 1, 2",
            "events",
        ),
        Report(
            "guests",
            "Guests by type: in all, and new in the time asked for",
            ("type", "guests", "new"),
            f"SELECT type, count(*) AS guests, count(CASE WHEN {_between('meta_created_at')} "
            "THEN 1 END) AS new FROM guests GROUP BY 1 ORDER BY 1",
            "guests",
        ),
        Report(
            "retention",
            "Weekly cohorts: of those first seen in a week, who came back how many weeks later",
            ("cohort", "week", "guests", "share"),
            "WITH weeks AS (SELECT DISTINCT guest_ref, "
            "CAST(date_trunc('week', meta_created_at AT TIME ZONE :zone) AS DATE) AS week "
            "FROM events WHERE guest_ref IS NOT NULL), "
            "firsts AS (SELECT guest_ref, min(week) AS cohort FROM weeks GROUP BY guest_ref), "
            "counted AS (SELECT f.cohort, "
            "CAST(floor(date_diff('day', f.cohort, w.week) / 7) AS BIGINT) AS week, "
            "count(*) AS guests FROM weeks AS w JOIN firsts AS f ON f.guest_ref = w.guest_ref "
            "WHERE f.cohort >= CAST(:first_day AS DATE) AND f.cohort < CAST(:after_day AS DATE) "
            "GROUP BY 1, 2) "
            "SELECT cohort, week, guests, round(CAST(guests AS DOUBLE) / "
            "max(guests) OVER (PARTITION BY cohort), 4) AS share FROM counted ORDER BY 1, 2",
            "share",
        ),
        Report(
            "rfm",
            "Recency, frequency and value of buyers in one currency: fifths, 5 is best",
            ("recency", "frequency", "value", "guests", "revenue"),
            "SELECT recency, frequency, value, count(*) AS guests, "
            "round(sum(revenue), 2) AS revenue FROM ("
            + scored(f"core_currency_code = :currency AND {_between('core_ordered_at')}", *SCORES)
            + ") AS scored GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2 DESC, 3 DESC",
            "guests",
        ),
    )
}
FUNNEL: Final = Report(
    "funnel",
    "Guests who took each step after the one before it",
    ("step", "guests", "share"),
    "",
    "guests",
)
MERGES: Final = Report(
    "merges", "Merges a day, and those undone", ("period", "merges", "undone"), "", "merges"
)
EVERY: Final = {**REPORTS, FUNNEL.name: FUNNEL, MERGES.name: MERGES}
OVER_TIME: Final = frozenset({"revenue", "abandoned", "events", "merges"})
"""Reports with a row for each day, week, month or year."""
COHORTS: Final = "retention"
"""The report with a row for each week of each week's guests."""


def question(report: Report, parameters: Mapping[str, Any], *, most: int) -> exp.Query:
    """The tree of a report, of at most so many rows; other placeholders are left alone."""
    tree = parse_one(report.sql, dialect="duckdb")
    replaced = exp.replace_placeholders(tree, **parameters)
    if not isinstance(replaced, exp.Query):
        raise TypeError(report.name)
    return replaced if replaced.args.get("limit") is not None else replaced.limit(most)


def funnel(types: Sequence[str], parameters: Mapping[str, Any]) -> list[exp.Select]:
    """How many guests took the first step, the first two, and so on."""
    steps = [SequenceStep(ENTITIES["event"], (word,), AND, ()) for word in types]
    in_time = parse_one(_between("t.meta_created_at"), dialect="duckdb")
    in_time = exp.replace_placeholders(in_time, **parameters)
    count = exp.Count(this=exp.Distinct(expressions=[exp.column("guest_ref")]))
    return [
        exp.select(count.copy()).from_(chain_ends(steps[: number + 1], in_time).subquery("ends"))
        for number in range(len(steps))
    ]
