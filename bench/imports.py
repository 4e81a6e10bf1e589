"""Imports: guests and orders by the command and by the batch API, beside COPY of the same rows."""

import gzip
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from bench.report import Bench
from bench.servers import Server, basic

COMMAND = str(Path(sys.executable).with_name("innkeeper"))
WORKSPACE = "live_sandbox"
SCHEMA = "ws_live_sandbox"
BARE = "bench_bare"
"""The schema of the floor's tables."""
TABLES = {
    "guests": ("guests", "guest_keys", "guest_extensions"),
    "orders": (
        *("guests", "guest_keys", "guest_joins", "orders", "order_items", "order_contacts"),
        "order_extensions",
    ),
}
"""Whose rows an import of each kind makes."""
MANY, FULL = 20_000, 100_000
PAUSE_SECONDS = 0.02
FIRST = ("Jane", "John", "Aoife", "Seán", "María", "Chloé", "Wei", "Priya")
LAST = ("Doe", "Smith", "Ó Néill", "García", "Müller", "Novák", "Kim", "Silva")


def measure(bench: Bench) -> Iterator[str]:
    """A line for each way in, with COPY of the rows it made, and what GET took meanwhile."""
    many = FULL if bench.full else MANY
    yield (
        f"{many:,} records per file, imported into an empty workspace. The floor is COPY of the "
        "resulting rows into tables that have only primary keys and identity keys.\n"
    )
    yield "| Work | records/s | COPY of the same rows, records/s | ratio |"
    yield "|---|---:|---:|---:|"
    key = _key(bench.ours)
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for entity in ("guests", "orders"):
            file = Path(folder, f"{entity}.ndjson")
            with file.open("w", encoding="utf-8") as out:
                out.writelines(json.dumps(one) + "\n" for one in _values(entity, many))
            for way, run in (("import command", _by_command), ("batch API", _by_batch)):
                _empty(bench.ours)
                with _Watched(bench.ours, busy):
                    rate = run(bench.ours, key, entity, file)
                floor = _copied(bench.ours, entity, many)
                yield f"| {entity}, {way} | {rate:,.0f} | {floor:,.0f} | {rate / floor:.2f} |"
    alone: list[float] = []
    with _Watched(bench.ours, alone):
        time.sleep(max(bench.seconds, 4))
    yield f"\nGET guest, p99: {_p99(alone):.1f} ms alone, {_p99(busy):.1f} ms during an import."


def _values(entity: str, many: int) -> Iterator[dict[str, Any]]:
    random_ = random.Random(many)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    for number in range(many):
        email = f"guest{number}@example.com"
        person = {
            "email": email,
            "firstName": random_.choice(FIRST),
            "lastName": random_.choice(LAST),
            "phoneNumbers": [f"+3538{random_.randrange(10**8):08}"],
            "city": "Dublin",
            "country": "IE",
            "identifiers": [{"provider": "email", "id": email}],
        }
        extension = [{"name": "ext", "key": "default", "tier": "gold", "points": number}]
        if entity == "guests":
            yield {"guestType": "customer", **person, "extensions": extension}
            continue
        item = {
            "type": "SHOE",
            "name": "Trainers",
            "description": "Red",
            "vendor": "Shoes",
            "price": 12.5,
            "currencyCode": "EUR",
        }
        yield {
            "referenceId": f"ORDER-{number}",
            "orderedAt": (start + timedelta(minutes=number)).isoformat(),
            "status": "PURCHASED",
            "channel": "WEB",
            "pointOfSale": "default",
            "currencyCode": "EUR",
            "price": 25,
            "paymentType": "Cash",
            "contact": person,
            "orderItems": [{**item, "productId": f"SKU-{n}"} for n in range(2)],
            "extensions": extension,
        }


def _by_command(ours: Server, key: str, entity: str, file: Path) -> float:
    words = [COMMAND, "import", entity, str(file), "--workspace", WORKSPACE, "--json"]
    done = subprocess.run(
        [*words, "--database", ours.dsn, "--restart"], check=True, capture_output=True
    )
    report = json.loads(done.stdout)
    assert not report["failed"], report
    with psycopg.connect(ours.dsn) as connection:
        row = connection.execute(
            f"SELECT records / extract(epoch FROM finished_at - created_at) "
            f"FROM {SCHEMA}.batches ORDER BY created_at DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    return float(row[0])


def _by_batch(ours: Server, key: str, entity: str, file: Path) -> float:
    """From the end of the upload to the last record, over as many batches as 50 MB make."""
    schema = entity.removesuffix("s")
    mode = {"guest": "upsert", "order": "insert"}[schema]
    records, seconds, many = 0, 0.0, 100_000
    lines = file.read_text(encoding="utf-8").splitlines()
    for first in range(0, len(lines), many):
        some = lines[first : first + many]
        text = "".join(
            f'{{"ref":"{uuid4()}","schema":"{schema}","mode":"{mode}","value":{line}}}\n'
            for line in some
        )
        seconds += _sent(ours, key, gzip.compress(text.encode(), 6))
        records += len(some)
    return records / seconds


def _sent(ours: Server, key: str, packed: bytes) -> float:
    base = f"http://{ours.host}:{ours.port}"
    headers = {"Authorization": key, "Content-Type": "application/json"}
    about = {"checksum": hashlib.md5(packed, usedforsecurity=False).hexdigest()}
    body = json.dumps(about | {"size": len(packed)}).encode()
    href = f"{base}/v2/batches/{uuid4()}"
    created = _json(urllib.request.Request(href, body, headers, method="PUT"))
    location = created["location"]["href"]
    urllib.request.urlopen(urllib.request.Request(location, packed, method="PUT")).close()
    began = time.monotonic()
    while True:
        status = _json(urllib.request.Request(href, headers=headers))["status"]["code"]
        if status not in ("uploading", "processing"):
            assert status == "success", status
            return time.monotonic() - began
        time.sleep(0.05)


def _copied(ours: Server, entity: str, many: int) -> float:
    """Records a second when the rows are copied into tables with primary and identity keys only."""
    with psycopg.connect(ours.dsn, autocommit=True) as connection, tempfile.TemporaryFile() as rows:
        sizes = []
        for table in TABLES[entity]:
            before = rows.tell()
            columns = _columns(connection, table)
            with connection.cursor().copy(
                f"COPY {SCHEMA}.{table} ({columns}) TO STDOUT (FORMAT binary)"
            ) as out:
                for piece in out:
                    rows.write(piece)
            sizes.append((table, columns, rows.tell() - before))
        rows.seek(0)
        _make_bare_tables(connection, TABLES[entity])
        began = time.monotonic()
        with connection.transaction():
            for table, columns, size in sizes:
                with connection.cursor().copy(
                    f"COPY {BARE}.{table} ({columns}) FROM STDIN (FORMAT binary)"
                ) as into:
                    left = size
                    while left:
                        piece = rows.read(min(left, 1 << 20))
                        into.write(piece)
                        left -= len(piece)
        return many / (time.monotonic() - began)


def _make_bare_tables(connection: psycopg.Connection[Any], tables: Sequence[str]) -> None:
    """Make empty tables with the columns and the primary keys of some tables, and nothing else."""
    connection.execute(f"DROP SCHEMA IF EXISTS {BARE} CASCADE; CREATE SCHEMA {BARE}")
    for table in tables:
        connection.execute(
            f"CREATE TABLE {BARE}.{table} (LIKE {SCHEMA}.{table} INCLUDING IDENTITY)"
        )
        for (key,) in connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype = 'p'",
            [f"{SCHEMA}.{table}"],
        ).fetchall():
            connection.execute(f"ALTER TABLE {BARE}.{table} ADD {key}")


def _columns(connection: psycopg.Connection[Any], table: str) -> str:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
        "AND NOT attisdropped AND attidentity = '' ORDER BY attnum",
        [f"{SCHEMA}.{table}"],
    ).fetchall()
    return ", ".join(name for (name,) in rows)


def _empty(ours: Server) -> None:
    with psycopg.connect(ours.dsn, autocommit=True) as connection:
        connection.execute(
            f"TRUNCATE {SCHEMA}.guests, {SCHEMA}.orders, {SCHEMA}.guest_counts, "
            f"{SCHEMA}.order_counts, {SCHEMA}.lake_changes, {SCHEMA}.guest_words, "
            f"{SCHEMA}.name_words, {SCHEMA}.name_typos CASCADE"
        )


class _Watched:
    """A caller asks for a guest every now and then meanwhile: milliseconds of each answer."""

    def __init__(self, ours: Server, record: list[float]) -> None:
        self._ours = ours
        self._found = record
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        path = _guest(self._ours)
        connection = HTTPConnection(self._ours.host, self._ours.port)
        while not self._done.wait(PAUSE_SECONDS):
            began = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": self._ours.authorization})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            self._found.append((time.perf_counter() - began) * 1000)
        connection.close()


def _guest(ours: Server) -> str:
    """The path of a guest in the workspace that nothing is imported into."""
    url = f"http://{ours.host}:{ours.port}/v2.1/guests"
    headers = {"Authorization": ours.authorization, "Content-Type": "application/json"}
    created = _json(urllib.request.Request(url, b'{"guestType":"visitor"}', headers))
    return f"/v2.1/guests/{created['ref']}"


def _p99(record: list[float]) -> float:
    return sorted(record)[int(len(record) * 0.99)]


def _key(ours: Server) -> str:
    words = [COMMAND, "keys", "create", "--workspace", WORKSPACE, "--database", ours.dsn, "--json"]
    key = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return basic(key["clientKey"], key["apiToken"])


def _json(request: urllib.request.Request) -> dict[str, Any]:
    parts = urlsplit(request.full_url)
    assert parts.scheme == "http"
    with urllib.request.urlopen(request) as answer:
        record: dict[str, Any] = json.loads(answer.read())
    return record
