"""A shop of a given size, written to PostgreSQL by COPY and to the lake as files, at once.

Everything is made of hashes of numbers, so it is the same for everyone. Guest 0 is the busiest: of
a thousand sessions it has one, and as many of the orders.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import duckdb
import psycopg

from bench.filling import fill_compacted
from innkeeper.rules.identity_keys import email_key, identifier_key, reference_key
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.embedded_roles import administrator

SCHEMA: Final = "ws_live"
DAYS: Final = 365
"""Days of sessions and events; orders have twice as many."""
EVENTS_PER_SESSION: Final = 5
PRODUCTS: Final = 500
SYLLABLES: Final = str.split("ba be bo da de di do fa fe ga go ha he ja ka ki ko la le li lo ma")


@dataclass(frozen=True)
class Size:
    """How many rows."""

    guests: int
    events: int
    orders: int


def ref(letter: str, number: int) -> UUID:
    """The ref of a generated row."""
    return UUID(md5(f"{letter}{number}".encode(), usedforsecurity=False).hexdigest())


def _name(syllables: int, seed: int) -> str:
    """SQL of a capitalized name of so many syllables, a few of which are frequent."""
    count = len(SYLLABLES) ** syllables
    skewed = f"CAST(pow({_of(seed, 1_000_000)} / 1e6, 2) * {count} AS BIGINT)"
    parts = [
        f"{SYLLABLES!r}[1 + ({skewed} // {len(SYLLABLES) ** each}) % {len(SYLLABLES)}]"
        for each in range(syllables)
    ]
    joined = " || ".join(parts)
    return f"(upper(left({joined}, 1)) || substr({joined}, 2))"


def _of(seed: int, most: int, what: str = "i") -> str:
    """SQL of a whole number below `most`."""
    return f"CAST(hash({what}, {seed}) % {most} AS BIGINT)"


def _ref(letter: str, number: str = "i") -> str:
    return f"CAST(md5('{letter}' || {number}) AS UUID)"


class Rows:
    """A SELECT of the values of each kind, from which both stores take theirs."""

    def __init__(self, now: datetime, size: Size) -> None:
        self.size = size
        self.now = now.astimezone(UTC)
        self.end = f"'{self.now.isoformat()}'::TIMESTAMPTZ"

    def at(self, seed: int, days: int, what: str = "i") -> str:
        seconds = _of(seed, days * 86_400, what)
        return f"({self.end} - to_seconds({seconds}::DOUBLE))"

    def somebody(self, seed: int, what: str = "i") -> str:
        """SQL of the number of a guest: some do much, most do little."""
        return (
            f"CAST(pow({_of(seed, 1_000_000, what)} / 1e6, 2) * {self.size.guests - 1} AS BIGINT)"
        )

    @property
    def guests(self) -> str:
        return (
            f"SELECT i, {_ref('g')} AS ref, "
            f"CASE {_of(2, 3)} WHEN 0 THEN 'customer' ELSE 'visitor' END AS type, "
            f"{self.at(1, 2 * DAYS)} AS created_at, {self.at(3, DAYS)} AS last_seen, "
            f"{_name(2, 20)} AS first_name, {_name(3, 21)} AS last_name, "
            f"'g' || i || ['@example.com', '@example.org'][1 + {_of(5, 2)}] AS email, "
            f"'+' || (353860000000 + i) AS phone, 'C-' || i AS crm, "
            f"['Galway', 'Cork', 'Sligo', 'Paris', 'Dublin', 'Lyon'][1 + {_of(4, 6)}] AS city, "
            f"['IE', 'IE', 'IE', 'FR', 'IE', 'FR'][1 + {_of(4, 6)}] AS country, "
            f"['female', 'male'][1 + {_of(6, 2)}] AS gender, "
            f"DATE '1940-01-01' + CAST({_of(7, 22_000)} AS INTEGER) AS born "
            f"FROM range({self.size.guests}) AS r(i)"
        )

    @property
    def orders(self) -> str:
        return (
            f"SELECT i, {_ref('o')} AS ref, {_ref('g', self.somebody(8))} AS guest_ref, "
            f"'HH-' || i AS reference_id, {self.at(9, 2 * DAYS)} AS moment, "
            f"round({_of(10, 20000)} / 100, 2) AS price, "
            f"['EUR', 'EUR', 'USD', 'GBP'][1 + {_of(11, 4)}] AS currency, "
            "['PURCHASED', 'CONFIRMED', 'PURCHASED', 'CANCELLED', 'REFUNDED', 'PENDING']"
            f"[1 + {_of(12, 6)}] AS status, {_of(22, PRODUCTS)} AS product "
            f"FROM range({self.size.orders}) AS r(i)"
        )

    @property
    def sessions(self) -> str:
        count = self.size.events // EVENTS_PER_SESSION
        return (
            f"SELECT i, {_ref('s')} AS ref, {_ref('g', 'g')} AS guest_ref, {_ref('b', 'g')} AS "
            "browser_ref, moment AS started_at, moment + INTERVAL 8 MINUTE AS last_at, "
            "moment + INTERVAL 28 MINUTE AS expires_at, "
            f"['BROWSED', 'BROWSED', 'ABANDONED', 'CONVERTED'][1 + {_of(18, 4)}] AS cart_type, "
            f"['WEB', 'MOBILE_APP'][1 + {_of(16, 2)}] AS channel "
            f"FROM (SELECT i, {self.somebody(13)} AS g, {self.at(14, DAYS)} AS moment "
            f"FROM range({count}) AS r(i))"
        )

    def events(self, month: datetime) -> str:
        """Events of a month, in the order of time."""
        after = (month + timedelta(days=32)).replace(day=1)
        pages = [
            "/",
            "/shoes",
            "/shoes/7?utm_source=mail&utm_medium=mail&utm_campaign=may",
            "/help",
        ]
        return (
            f"SELECT {_ref('e')} AS ref, moment, {_ref('s', 's')} AS session_ref, "
            f"{_ref('g', self.somebody(13, 's'))} AS guest_ref, "
            f"{_ref('b', self.somebody(13, 's'))} AS browser_ref, number, "
            f"['VIEW', 'VIEW', 'VIEW', 'SEARCH', 'VIEW', 'ADD', 'CHECKOUT', 'IDENTITY']"
            f"[1 + {_of(15, 8)}] AS type, ['WEB', 'MOBILE_APP'][1 + {_of(16, 2, 's')}] AS channel, "
            f"{pages!r}[1 + {_of(17, 4)}] AS page FROM ("
            f"SELECT i, i // {EVENTS_PER_SESSION} AS s, i % {EVENTS_PER_SESSION} + 1 AS number, "
            f"{self.at(14, DAYS, f'(i // {EVENTS_PER_SESSION})')} "
            f"+ to_minutes(2 * (i % {EVENTS_PER_SESSION})) AS moment "
            f"FROM range({self.size.events}) AS r(i)) "
            f"WHERE moment >= '{month.isoformat()}' AND moment < '{after.isoformat()}' "
            "ORDER BY moment"
        )

    @property
    def months(self) -> list[datetime]:
        first = (self.now - timedelta(days=DAYS)).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        months = [first]
        while (following := (months[-1] + timedelta(days=32)).replace(day=1)) <= self.now:
            months.append(following)
        return months


def lake_rows(rows: Rows) -> dict[str, list[str]]:
    """Table of the lake -> SELECTs of its rows, a file each."""
    meta = "ref::VARCHAR AS meta_ref, {0} AS meta_created_at, {0} AS meta_modified_at"
    event_meta = meta.format("moment")
    return {
        "guests": [
            f"SELECT {meta.format('created_at')}, upper(type) AS type, "
            "created_at AS core_first_seen_at, last_seen AS core_last_seen_at, "
            "first_name AS core_first_name, last_name AS core_last_name, email AS core_email, "
            "[email] AS core_emails, [phone] AS core_phone_numbers, city AS core_city, "
            f"country AS core_country, gender AS core_gender, born AS core_date_of_birth "
            f"FROM ({rows.guests})"
        ],
        "identifiers": [
            f"SELECT ref::VARCHAR AS guest_ref, 'CRM' AS provider, crm AS id FROM ({rows.guests})"
        ],
        "orders": [
            f"SELECT {event_meta}, guest_ref::VARCHAR AS guest_ref, "
            "reference_id AS core_reference_id, moment AS core_ordered_at, price AS core_price, "
            f"currency AS core_currency_code, status AS core_status FROM ({rows.orders})"
        ],
        "order_items": [
            f"SELECT {_ref('i')}::VARCHAR AS meta_ref, moment AS meta_created_at, moment AS "
            "meta_modified_at, ref::VARCHAR AS order_ref, guest_ref::VARCHAR AS guest_ref, "
            "moment AS core_ordered_at, 'Article ' || product AS core_name, 'P' || product AS "
            "core_product_id, price AS core_price, currency AS core_currency_code, "
            f"status AS core_status, 1 AS core_quantity FROM ({rows.orders})"
        ],
        "sessions": [
            f"SELECT {meta.format('started_at')}, guest_ref::VARCHAR AS guest_ref, "
            "browser_ref::VARCHAR AS browser_ref, channel AS type, 'CLOSED' AS core_status, "
            "cart_type AS core_cart_type, channel AS core_channel, started_at AS core_started_at, "
            "last_at AS core_ended_at, 480 AS core_duration, 'default' AS core_point_of_sale, "
            "CASE cart_type WHEN 'ABANDONED' THEN 50 END AS core_abandoned_revenue, "
            f"'EUR' AS core_currency_code FROM ({rows.sessions})"
        ],
        "events": [
            f"SELECT {event_meta}, guest_ref::VARCHAR AS guest_ref, "
            "session_ref::VARCHAR AS session_ref, browser_ref::VARCHAR AS browser_ref, type, "
            "channel AS core_channel, 'default' AS core_point_of_sale, page AS core_page "
            f"FROM ({rows.events(month)})"
            for month in rows.months
        ],
    }


def copies(rows: Rows) -> Iterator[tuple[str, str]]:
    """Table of PostgreSQL with its columns, and the SELECT of its rows; without events."""
    contact = "json_object('email', 'g' || i || '@example.com')"
    dates = "created_at, created_at AS modified_at"
    yield (
        "guests (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)",
        "SELECT ref, type, json_object('first_name', first_name, 'last_name', last_name, 'email', "
        "email, 'emails', [email], 'phone_numbers', [phone], 'city', city, 'country', country, "
        "'gender', gender, 'date_of_birth', born::VARCHAR, 'identifiers', "
        "[{'provider': 'CRM', 'id': crm}]), created_at, greatest(created_at, last_seen), "
        f"{dates} FROM ({rows.guests})",
    )
    yield (
        "guest_keys (key, guest_ref)",
        f"SELECT unnest([_email_key(email), _crm_key(crm)]), ref FROM ({rows.guests})",
    )
    yield (
        "browsers (ref, guest_ref, channel, point_of_sale, created_at)",
        f"SELECT {_ref('b')}, ref, 'WEB', 'default', created_at FROM ({rows.guests})",
    )
    yield (
        "orders (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)",
        "SELECT ref, reference_id, _order_key(reference_id), moment, json_object('price', price, "
        f"'currency_code', currency, 'status', status), moment, moment FROM ({rows.orders})",
    )
    yield (
        "order_items (ref, order_ref, ordered_at, body, created_at, modified_at)",
        f"SELECT {_ref('i')}, ref, moment, json_object('name', 'Article ' || product, "
        f"'product_id', 'P' || product, 'price', price, 'quantity', 1), "
        f"moment, moment FROM ({rows.orders})",
    )
    yield (
        "order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at)",
        f"SELECT {_ref('c')}, ref, guest_ref, {contact}, moment, moment FROM ({rows.orders})",
    )
    yield (
        "sessions (ref, browser_ref, guest_ref, version, channel, started_at, last_at, expires_at, "
        "events, details, closed_at, cart_type, created_at, modified_at)",
        "SELECT ref, browser_ref, guest_ref, 5, channel, started_at, last_at, expires_at, "
        "5, json_object('point_of_sale', 'default'), expires_at, cart_type, started_at, last_at "
        f"FROM ({rows.sessions})",
    )


DERIVED: Final = f"""
INSERT INTO {SCHEMA}.guest_counts
SELECT guest_type, 0, count(*) FROM {SCHEMA}.guests GROUP BY 1;
INSERT INTO {SCHEMA}.order_counts SELECT 0, count(*) FROM {SCHEMA}.orders;
INSERT INTO {SCHEMA}.identifier_providers VALUES ('CRM');
INSERT INTO {SCHEMA}.guest_words
SELECT unnest({SCHEMA}.search_words(body)), ref FROM {SCHEMA}.guests;
INSERT INTO {SCHEMA}.name_words
SELECT DISTINCT word FROM {SCHEMA}.guest_words WHERE word NOT LIKE '#%';
INSERT INTO {SCHEMA}.name_typos
SELECT unnest({SCHEMA}.typos_of(word)), word FROM {SCHEMA}.name_words;
"""
"""What triggers derive, which do not run meanwhile."""


def fill_shop(dsn: str, data: Path, size: Size, now: datetime) -> None:
    """Fill the empty workspace `live` of an embedded server."""
    rows = Rows(now, size)
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-copy-") as folder:
        scratch = Path(folder)
        # The server, which another user runs, reads the files itself.
        scratch.chmod(0o777)
        writer = _Writer(dsn, scratch)
        with ThreadPoolExecutor(2) as threads:
            done = [threads.submit(writer.copy, *each) for each in copies(rows)]
            done += [threads.submit(writer.add_month, month, rows) for month in rows.months]
            lake = threads.submit(asyncio.run, _fill_lake(dsn, data, rows))
            for each in (*done, lake):
                each.result()
        with psycopg.connect(administrator(dsn), autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute("SET session_replication_role = replica")
            for statement in filter(str.strip, DERIVED.split(";")):
                connection.execute(statement)
            connection.execute("VACUUM (ANALYZE)")


async def _fill_lake(dsn: str, data: Path, rows: Rows) -> None:
    async with (
        Database(
            dsn, settings=Settings(database=dsn, data=data), statement_timeout_ms=0
        ) as database,
        database.work("live") as work,
    ):
        await fill_compacted(work, lake_rows(rows))


def _email_key(text: str) -> str:
    return str(email_key(text))


def _crm_key(text: str) -> str:
    return str(identifier_key("CRM", text))


def _order_key(text: str) -> str:
    return str(reference_key(text))


class _Writer:
    """Copies the rows of SELECTs into tables, without triggers and checks of foreign keys."""

    def __init__(self, dsn: str, scratch: Path) -> None:
        self.dsn = administrator(dsn)
        self.scratch = scratch

    def copy(self, table: str, select: str) -> None:
        with self._connect() as connection:
            self._copy(connection, table, select)

    def add_month(self, month: datetime, rows: Rows) -> None:
        """Load the events of a month as a table of their own; attaching it adds the indexes."""
        name = f"{SCHEMA}.events_{month:%Y_%m}"
        after = (month + timedelta(days=32)).replace(day=1)
        columns = (
            "(ref, at, session_ref, guest_ref, browser_ref, number, type, channel, point_of_sale, "
            "timeout_seconds, ends_session, body, received_at)"
        )
        select = (
            "SELECT ref, moment, session_ref, guest_ref, browser_ref, number, type, channel, "
            "'default', 1200, false, json_object('page', page), moment "
            f"FROM ({rows.events(month)})"
        )
        with self._connect() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {name}")
            connection.execute(f"CREATE TABLE {name} (LIKE {SCHEMA}.events)")
            connection.execute(f"ALTER TABLE {name} OWNER TO innkeeper")
            self._copy(connection, f"events_{month:%Y_%m} {columns}", select)
            connection.execute(
                f"ALTER TABLE {SCHEMA}.events ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{month.isoformat()}') TO ('{after.isoformat()}')"
            )

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.dsn, autocommit=True)
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '256MB'")
        return connection

    def _copy(self, connection: psycopg.Connection[Any], table: str, select: str) -> None:
        path = self.scratch / f"{table.partition(' ')[0]}.csv"
        with duckdb.connect(config={"threads": 1}) as source:
            source.execute("SET TimeZone = 'UTC'")
            for key in (_email_key, _crm_key, _order_key):
                source.create_function(key.__name__, key, ["VARCHAR"], "VARCHAR")
            source.execute(f"COPY ({select}) TO '{path}' (FORMAT csv, HEADER false)")
        path.chmod(0o644)
        connection.execute(f"COPY {SCHEMA}.{table} FROM '{path}' (FORMAT csv)")
        path.unlink()


def cached_guests(folder: Path, size: Size) -> bool:
    """Whether a folder has a shop of this size from an earlier run."""
    mark = folder / "filled.json"
    return mark.exists() and json.loads(mark.read_text()) == vars(size)


def remember(folder: Path, size: Size) -> None:
    """Note that a folder has a shop of this size."""
    (folder / "filled.json").write_text(json.dumps(vars(size)))
