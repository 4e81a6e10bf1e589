"""Reports: queries over all guests, in a time zone that the caller chooses.

A report is SQL with named placeholders. They are replaced in the syntax tree, so that both engines
can run it and no value is formatted into the text.
"""

# ruff: noqa: S608 - the texts are made of this module's own words

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlglot import exp, parse_one

from innkeeper.lake.revenue_sql import ADDED, BOUGHT, PAID, REVENUE
from innkeeper.lake.rfm_sql import scored
from innkeeper.lake.segment_sequence_sql import ends_of_steps
from innkeeper.resources.definitions import AND
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.segments import SequenceStep


def _between(column: str) -> str:
    return f"{column} >= CAST(:start AS TIMESTAMPTZ) AND {column} < CAST(:until AS TIMESTAMPTZ)"


def _period(column: str) -> str:
    return f"CAST(date_trunc(:unit, {column} AT TIME ZONE :zone) AS DATE)"


def _utm(name: str) -> str:
    return f"regexp_extract(core_page, '[?&]utm_{name}=([^&#]*)', 1)"


_IN_TIME: Final = "core_ordered_at >= CAST(:start AS TIMESTAMPTZ)"
_CHOSEN: Final = "(:chosen = '' OR core_currency_code = :chosen)"
"""Whether a row has the currency that the reader chose, if any."""
_PRODUCT: Final = "coalesce(core_product_id, core_name)"
_SOLD: Final = (
    f"sum(CASE WHEN {BOUGHT} THEN coalesce(core_quantity, 1) ELSE 0 END) AS quantity, "
    f"round(sum(({ADDED}) * coalesce(core_quantity, 1)), 2) AS revenue"
)
_SALES: Final = (
    f"{PAID} AND ({BOUGHT} OR core_price < 0) AND {_between('core_ordered_at')} AND {_CHOSEN}"
)
"""The order items that count as sold, and negative ones, which reduce revenue."""
_SCORED: Final = scored(
    f"core_currency_code = :currency AND {_between('core_ordered_at')}", "recency", "value"
)
_FREQUENCY: Final = "least(orders, 5) AS frequency"
"""Number of orders, at most 5: most buyers of any shop have one, so fifths would be empty."""
_WEEK: Final = "CAST(date_trunc('week', {} AT TIME ZONE :zone) AS DATE)"
_PAGE: Final = "split_part(split_part(core_page, '?', 1), '#', 1)"


@dataclass(frozen=True)
class Report:
    """One report: its columns, its SQL, and the column of its chart."""

    name: str
    title: str
    columns: tuple[str, ...]
    sql: str
    value: str
    """The column that a chart draws."""

    @property
    def is_over_time(self) -> bool:
        """Whether it has a row for each day, week, month or year."""
        return self.columns[0] == "period"

    def takes(self, placeholder: str) -> bool:
        """Whether its SQL has a placeholder."""
        return f":{placeholder}" in self.sql


REPORTS: Final = {
    report.name: report
    for report in (
        Report(
            "revenue",
            "Orders bought and revenue over time, by currency",
            ("period", "currency", "orders", "revenue"),
            f"SELECT {_period('core_ordered_at')} AS period, core_currency_code AS currency, "
            f"count(CASE WHEN {BOUGHT} THEN 1 END) AS orders, {REVENUE} "
            f"FROM orders WHERE {PAID} AND {_between('core_ordered_at')} AND {_CHOSEN} "
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
            f"AND {_CHOSEN} GROUP BY 1, 2 ORDER BY 1, 2",
            "revenue",
        ),
        Report(
            "totals",
            "Orders and revenue, next to the same number of days before",
            (
                *("currency", "orders", "revenue", "average", "previous_orders"),
                *("previous_revenue", "change"),
            ),
            "SELECT currency, orders, revenue, "
            "round(revenue / nullif(orders, 0), 2) AS average, previous_orders, previous_revenue, "
            "round(revenue / nullif(previous_revenue, 0) - 1, 4) AS change FROM ("
            "SELECT core_currency_code AS currency, "
            f"count(CASE WHEN {BOUGHT} AND {_IN_TIME} THEN 1 END) AS orders, "
            f"round(sum(CASE WHEN {_IN_TIME} THEN {ADDED} ELSE 0 END), 2) AS revenue, "
            f"count(CASE WHEN {BOUGHT} AND NOT {_IN_TIME} THEN 1 END) AS previous_orders, "
            f"round(sum(CASE WHEN {_IN_TIME} THEN 0 ELSE {ADDED} END), 2) AS previous_revenue "
            f"FROM orders WHERE {PAID} AND core_ordered_at >= CAST(:before AS TIMESTAMPTZ) "
            f"AND core_ordered_at < CAST(:until AS TIMESTAMPTZ) AND {_CHOSEN} GROUP BY 1) AS added "
            "ORDER BY revenue DESC, currency",
            "revenue",
        ),
        Report(
            "products",
            "Products that brought most revenue, in each currency",
            ("product", "currency", "quantity", "revenue", "name", "variants"),
            # Ranked within its currency: amounts of two currencies do not compare.
            "SELECT product, currency, quantity, revenue, name, last_name, variants FROM ("
            "SELECT *, row_number() OVER "
            "(PARTITION BY currency ORDER BY revenue DESC, product) AS rank "
            f"FROM (SELECT {_PRODUCT} AS product, core_currency_code AS currency, {_SOLD}, "
            "min(core_name) AS name, max(core_name) AS last_name, "
            "count(DISTINCT core_name) AS variants FROM order_items "
            f"WHERE {_SALES} GROUP BY 1, 2) AS added) AS ranked WHERE rank <= :most "
            "ORDER BY currency, revenue DESC, product",
            "revenue",
        ),
        Report(
            "variants",
            "Variants of products by their names, in each currency",
            ("variant", "currency", "quantity", "revenue", "product"),
            "SELECT variant, currency, quantity, revenue, product FROM (SELECT *, "
            "row_number() OVER "
            "(PARTITION BY currency ORDER BY revenue DESC, product, variant) AS rank "
            "FROM (SELECT coalesce(core_name, core_product_id) AS variant, "
            f"core_currency_code AS currency, {_SOLD}, {_PRODUCT} AS product FROM order_items "
            f"WHERE {_SALES} AND (:product = '' OR {_PRODUCT} = :product) "
            "GROUP BY 1, 2, 5) AS added) AS ranked WHERE rank <= :most "
            "ORDER BY currency, revenue DESC, product, variant",
            "revenue",
        ),
        Report(
            "pages",
            "Pages viewed most",
            ("page", "views", "guests"),
            f"SELECT {_PAGE} AS page, count(*) AS views, count(DISTINCT guest_ref) AS guests "
            f"FROM events WHERE type = 'VIEW' AND core_page IS NOT NULL "
            f"AND {_between('meta_created_at')} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT :most",
            "views",
        ),
        Report(
            "campaigns",
            "Campaigns that brought guests, by the UTM parameters of pages",
            ("source", "medium", "campaign", "views", "guests"),
            f"SELECT {_utm('source')} AS source, {_utm('medium')} AS medium, "
            f"{_utm('campaign')} AS campaign, count(*) AS views, "
            "count(DISTINCT guest_ref) AS guests FROM events WHERE type = 'VIEW' "
            f"AND {_utm('source')} <> '' AND {_between('meta_created_at')} "
            "GROUP BY 1, 2, 3 ORDER BY 5 DESC, 4 DESC, 1, 2, 3 LIMIT :most",
            "guests",
        ),
        Report(
            "events",
            "Events over time, by type",
            ("period", "type", "events", "guests"),
            "SELECT period, type, CAST(sum(events) AS BIGINT) AS events, "
            "count(guest_ref) AS guests FROM (SELECT "
            f"{_period('meta_created_at')} AS period, type, guest_ref, count(*) AS events "
            f"FROM events WHERE {_between('meta_created_at')} GROUP BY 1, 2, 3) "
            "AS of_guests GROUP BY 1, 2 ORDER BY 1, 2",
            "events",
        ),
        Report(
            "guests",
            "Guests by type, and how many are new in the period",
            ("type", "guests", "new"),
            f"SELECT type, count(*) AS guests, count(CASE WHEN {_between('meta_created_at')} "
            "THEN 1 END) AS new FROM guests GROUP BY 1 ORDER BY 1",
            "guests",
        ),
        Report(
            "retention",
            "Weekly cohorts: of those first seen in a week, who came back how many weeks later",
            ("cohort", "week", "guests", "share"),
            # Guests of these cohorts are found first: by guest alone, and without time zones.
            f"WITH firsts AS (SELECT guest_ref, {_WEEK.format('min(meta_created_at)')} AS cohort "
            "FROM events WHERE guest_ref IS NOT NULL GROUP BY guest_ref), "
            "cohorts AS (SELECT guest_ref, cohort FROM firsts "
            "WHERE cohort >= CAST(:first_day AS DATE) AND cohort < CAST(:after_day AS DATE)), "
            "weeks AS (SELECT DISTINCT c.guest_ref, c.cohort, "
            f"{_WEEK.format('e.meta_created_at')} AS week "
            "FROM events AS e JOIN cohorts AS c ON c.guest_ref = e.guest_ref), "
            "counted AS (SELECT cohort, "
            "CAST(floor(date_diff('day', cohort, week) / 7) AS BIGINT) AS week, "
            "count(*) AS guests FROM weeks GROUP BY 1, 2) "
            "SELECT cohort, week, guests, round(CAST(guests AS DOUBLE) / "
            "max(guests) OVER (PARTITION BY cohort), 4) AS share FROM counted ORDER BY 1, 2",
            "share",
        ),
        Report(
            "rfm",
            "Buyers in one currency by recency and value in fifths, 5 is best, and their orders",
            ("recency", "value", "guests", "orders", "revenue"),
            "SELECT recency, value, count(*) AS guests, sum(orders) AS orders, "
            f"round(sum(revenue), 2) AS revenue FROM ({_SCORED}) AS scored "
            "GROUP BY 1, 2 ORDER BY 1 DESC, 2 DESC",
            "guests",
        ),
        Report(
            "rfm_groups",
            "Buyers in one currency in named groups, from champions to lost",
            ("group", "guests", "share", "orders", "revenue", "meaning"),
            f"SELECT recency, {_FREQUENCY}, count(*) AS guests, sum(orders) AS orders, "
            f"round(sum(revenue), 2) AS revenue FROM ({_SCORED}) AS scored GROUP BY 1, 2",
            "guests",
        ),
    )
}
FUNNEL: Final = Report(
    "funnel",
    "Guests who took each step after the one before it",
    ("step", "guests", "share", "of_previous"),
    "",
    "guests",
)
MERGES: Final = Report(
    "merges", "Merges over time, and those undone", ("period", "merges", "undone"), "", "merges"
)
EVERY: Final = {**REPORTS, FUNNEL.name: FUNNEL, MERGES.name: MERGES}
BREAKDOWNS: Final = {
    "country": "core_country",
    "city": "core_city",
    "language": "core_language",
    "gender": "core_gender",
    "type": "type",
}
"""Field of guests by which a funnel may be split -> its column."""
COHORTS: Final = "retention"
"""The report with a row for each week of each weekly cohort."""


def question(report: Report, parameters: Mapping[str, Any], *, most: int) -> exp.Query:
    """Return the syntax tree of a report with a limit of rows; other placeholders remain."""
    tree = parse_one(report.sql, dialect="duckdb")
    replaced = exp.replace_placeholders(tree, **parameters)
    if not isinstance(replaced, exp.Query):
        raise TypeError(report.name)
    return replaced if replaced.args.get("limit") is not None else replaced.limit(most)


def funnel(
    types: Sequence[str], parameters: Mapping[str, Any], within: timedelta | None, by: str | None
) -> exp.Query:
    """SELECT (number of a step, guests who took it after those before, value of `by`, a column of
    guests). Steps without guests may be missing."""
    steps = [
        SequenceStep(ENTITIES["event"], (word,), AND, (), within if number else None)
        for number, word in enumerate(types)
    ]
    in_time = parse_one(_between("t.meta_created_at"), dialect="duckdb")
    in_time = exp.replace_placeholders(in_time, **parameters)
    count = exp.Count(this=exp.Distinct(expressions=[exp.column("guest_ref", "ends")]))
    ends = ends_of_steps(steps, in_time)
    counts = []
    for number, (name, _) in enumerate(ends):
        tree = exp.select(f"{number} AS step", exp.alias_(count.copy(), "guests"))
        tree = tree.from_(f"{name} AS ends")
        if by is not None:
            tree = tree.join("guests", on="guests.guest_ref = ends.guest_ref", dialect="duckdb")
            tree = tree.select(exp.column(by, "guests")).group_by(exp.column(by, "guests"))
        counts.append(tree)
    query: exp.Query = counts[0] if len(counts) == 1 else exp.union(*counts, distinct=False)
    for name, tree in ends:
        query = query.with_(name, as_=tree, materialized=True)
    return query
