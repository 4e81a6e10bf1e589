"""P4: records that match nobody are written as encoded rows, as if each was decided by itself."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from drawn_records import LINE
from in_process import Site, running
from undoing import run_import, run_undo

from innkeeper.actions.bulk import creation_writer
from innkeeper.store import binary_rows
from innkeeper.store.adapters import EncodedNumbers, EncodedRefs

NAMES = (
    *("Ann", "Ó Néill-Smith", "Ann Ann", "ÆGIR Œuvre Straße", "Łódź Ðorđe Þór", "İpek ıĦ"),
    *("O'Brien’s", "a\u00adb\u200bc", "x\u3000y\u00a0z", "Анна Ёлкин", "Σίσυφος", "ﬁﬀ ①"),
    *("Wei 王", "مريم", "A" * 40, "one two three four five six seven eight nine ten eleven 12 13"),
    *("", "-", "D'Arcy_Mc.Gee", "e\u0301le\u0300ve", "N\x1fO", "ẞ ǅ"),
)
PHONES = (
    *(["+353 86 1234567"], ["0861112223 ext. 4", "12"], ["12345", "123456"], ["(021) 427-1111"]),
    *(["021/4271111", "0214271111"], []),
)


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        yield


def person(number: int, **fields: Any) -> dict[str, Any]:
    identifiers = [{"provider": "email", "id": f"{number}@example.com"}]
    return {"identifiers": identifiers, **fields}


def extended(value: Any) -> dict[str, Any]:
    return {"extensions": [{"name": "ext", "key": "default", "a": value, "b": 12.50}]}


def order(number: int, who: int, **fields: Any) -> dict[str, Any]:
    return {
        **{"referenceId": f"R-{number}", "orderedAt": "2026-01-02T03:04:05.000Z"},
        **{"channel": "WEB", "pointOfSale": "shop", "status": "PURCHASED", "price": 10.50},
        **{"currencyCode": "EUR", "paymentType": "Cash", "contact": person(who, **extended(3))},
        **{"orderItems": [LINE, {**LINE, "orderedAt": "2026-01-03T00:00:00Z"}], **fields},
    }


GUESTS = [
    person(1, firstName="Ann", city="Cork", dateOfBirth="1980-02-03", **extended("x")),
    person(2, email="two@example.com", phoneNumbers=["+353861234567"], street=["1", "Main St"]),
    person(3, lastName="Ó Néill", firstSeen="2020-01-02T03:04:05Z", **extended(1)),
    person(4, firstSeen="2020-01-02T03:04:05Z", lastSeen="2021-01-02T03:04:05.678Z"),
    person(5, lastSeen="2021-01-02T03:04:05Z"),
    {"identifiers": [{"provider": "email", "id": "6@example.com", "expiryDate": "2999-01-01"}]},
    person(7, firstName="Later"),
    person(7, lastName="Same"),
]
ORDERS = [
    order(1, 11),
    order(2, 12, **extended("y")),
    order(3, 13, consumers=[person(14)]),
    order(4, 11, status="CANCELLED"),
    order(5, 15, orderItems=[{**LINE, **extended("z")}]),
    order(6, 16, contact={"firstName": "Only", "lastName": "Named"}),
]
TABLES = {
    "guests": "guest_type, body, first_seen < '2025-01-01' AS old, "
    "last_seen < '2025-01-01' AS unseen, "
    "(SELECT count(*) FROM ws_live.guest_keys WHERE guest_ref = t.ref) AS keys, "
    "(SELECT jsonb_agg(jsonb_build_array(name, key, pairs)) FROM ws_live.guest_extensions "
    "WHERE guest_ref = t.ref) AS extensions, "
    "(SELECT array_agg(word ORDER BY word) FROM ws_live.guest_words "
    "WHERE guest_ref = t.ref) AS words, "
    "(SELECT jsonb_agg(jsonb_build_array(rule, evidence, source, actor)) FROM ws_live.guest_joins "
    "WHERE guest_ref = t.ref) AS joins",
    "orders": "reference_id, reference_key, ordered_at, body, "
    "(SELECT jsonb_agg(jsonb_build_array(body, ordered_at) ORDER BY created_at) "
    "FROM ws_live.order_items WHERE order_ref = t.ref) AS items, "
    "(SELECT jsonb_agg(body) FROM ws_live.order_contacts WHERE order_ref = t.ref) AS contacts, "
    "(SELECT jsonb_agg(jsonb_build_array(name, key, pairs)) FROM ws_live.order_extensions "
    "WHERE order_ref = t.ref) AS extensions, (SELECT jsonb_agg(pairs) "
    "FROM ws_live.order_item_extensions JOIN ws_live.order_items AS i ON i.ref = order_item_ref "
    "WHERE i.order_ref = t.ref) AS item_extensions",
    "name_words": "word",
    "name_typos": "typo, word",
    "identifier_providers": "provider",
    "guest_counts": "guest_type, sum(guests) OVER (PARTITION BY guest_type) AS guests",
    "order_counts": "sum(orders) OVER () AS orders",
}


def contents() -> dict[str, list[str]]:
    """What the workspace has, without refs and instants of writing."""
    results = {}
    for table, columns in TABLES.items():
        rows = Site.rows(f"SELECT {columns} FROM ws_live.{table} AS t")
        results[table] = sorted(map(str, rows))
    return results


def add_rule_of_two() -> None:
    """Add a rule of two conditions, which nobody here meets."""
    Site.write(
        "INSERT INTO ws_live.identity_rules (position, name, conditions) SELECT 99, 'both', "
        """'[{"field": "passport_number"}, {"field": "title"}]'; """
        "UPDATE ws_live.identity_settings SET version = gen_random_uuid()"
    )


def test_p4_rows_are_those_of_records_that_are_decided_one_by_one(site: None) -> None:
    """With a rule of two conditions, a chunk is decided one by one if any record has no creation:
    the last guest names nobody, and two orders are of one person."""
    imported = [[*GUESTS, {"firstName": "Nobody"}], ORDERS]
    results = []
    for rule in (lambda: None, add_rule_of_two):
        Site.empty()
        Site.write("TRUNCATE ws_live.orders CASCADE; DELETE FROM ws_live.identifier_providers")
        rule()
        for holds, values in zip(("guests", "orders"), imported, strict=True):
            run_import(holds, values, chunk=100)
        results.append(contents())
    assert results[0] == results[1]
    assert len(results[0]["guests"]) == 13


def test_p4_words_are_those_that_the_database_derives(site: None) -> None:
    """Oracle: the SQL function `search_words`, of names in several scripts and of phones."""
    values = [
        person(number, firstName=name, lastName="Ann", phoneNumbers=PHONES[number % len(PHONES)])
        for number, name in enumerate(NAMES)
    ]
    run_import("guests", values, chunk=100)
    rows = Site.rows(
        "SELECT body ->> 'first_name' AS name, ws_live.search_words(body) AS expected, "
        "ARRAY(SELECT word FROM ws_live.guest_words WHERE guest_ref = ref) AS stored "
        "FROM ws_live.guests"
    )
    assert len(rows) == len(NAMES)
    for row in rows:
        assert sorted(row["stored"]) == sorted(row["expected"]), row["name"]


def test_p4_undo_removes_what_encoded_rows_created(site: None) -> None:
    run_import("guests", GUESTS[:2], chunk=100)
    before = contents()
    ref = run_import("orders", ORDERS[:2], chunk=100)
    run_undo(ref)
    assert contents()["guests"] == before["guests"]
    assert contents()["orders"] == []
    assert contents()["name_words"] == before["name_words"]


def test_p4_each_new_guest_and_order_is_one_change_of_the_lake(site: None) -> None:
    """Their parts are new with them: a flush reads all of them."""
    Site.write("DELETE FROM ws_live.lake_changes")
    run_import("orders", ORDERS[:2], chunk=100)
    rows = Site.rows(
        "SELECT kind, is_new, count(*) AS count FROM ws_live.lake_changes GROUP BY 1, 2 ORDER BY 1"
    )
    expected = [{"kind": kind, "is_new": True, "count": 2} for kind in ("guest", "order")]
    assert rows == expected


def test_p4_references_are_checked_again_after_the_rows_of_an_import(site: None) -> None:
    """Rows that refer to rows of their transaction are written without a check of references; the
    login of the embedded server may leave it out."""
    run_import("orders", [order(1, 11, **extended("y"))], chunk=100)
    (row,) = Site.rows(
        "SELECT has_parameter_privilege('session_replication_role', 'SET') AS may, "
        "current_setting('session_replication_role') AS role"
    )
    assert row == {"may": True, "role": "origin"}
    for part, parent in (
        *(("guest_keys", "guest"), ("guest_joins", "guest"), ("guest_extensions", "guest")),
        *(("order_items", "order"), ("order_contacts", "order"), ("order_extensions", "order")),
    ):
        query = f"SELECT {parent}_ref IN (SELECT ref FROM ws_live.{parent}s) AS is_stored FROM "
        assert {row["is_stored"] for row in Site.rows(query + f"ws_live.{part}")} == {True}, part
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        Site.write("INSERT INTO ws_live.guest_keys SELECT ref, ref FROM ws_live.orders")


def test_p4_encoded_arrays_are_those_of_the_database(site: None) -> None:
    refs = [bytes(range(start, start + 16)) for start in (0, 100, 240)]
    whole = [-(2**63), -1, 2**63 - 1]
    for count in range(4):
        numbers = [number.to_bytes(8, signed=True) for number in whole[:count]]
        (row,) = Site.rows(
            "SELECT %s AS refs, %s AS numbers",
            EncodedRefs(binary_rows.refs(refs[:count])),
            EncodedNumbers(binary_rows.numbers(numbers)),
        )
        expected = [UUID(bytes=ref) for ref in refs[:count]]
        assert row == {"refs": expected, "numbers": whole[:count]}


def test_p4_rows_are_encoded_off_the_event_loop(
    site: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a small file, and of a large one once the identity rules change."""
    threads, encode = [], creation_writer.encode_creations

    def record_call(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return encode(*args)

    monkeypatch.setattr(creation_writer, "encode_creations", record_call)
    run_import("guests", GUESTS)
    assert threads
    assert threading.main_thread() not in threads
