"""Every table that names a guest has its place in erasure, in subject access and in the lake, or
says why not. Who adds such a table meets this test first."""

import re

import psycopg
from calling import Api

from innkeeper.store.queries import catalogue

NOT_ERASED = {"guest_words": "search words, which a trigger removes with the guest's row"}
NOT_IN_SUBJECT_ACCESS = {
    "bulk_action_guests": "a queue of work",
    "erased_identifiers": "holds refs of guests that no longer exist",
    "export_members": "who was in the last run; the files that hold a guest are listed",
    "guest_keys": "digests of values that the guest's row shows",
    "guest_words": "search words of values that the guest's row shows",
    "segment_queue": "a queue of work",
}
NOT_IN_LAKE = {
    "browsers": "sessions name the browser",
    "bulk_action_guests": "a queue of work",
    "erased_identifiers": "a queue of work",
    "export_files": "which files hold whom: no fact about a person",
    "export_members": "which run named whom: no fact about a person",
    "guest_joins": "the ledger of merges; the lake follows merges by their survivors",
    "guest_journal": "the ledger of merges",
    "merges": "the ledger of merges; the lake reads survivors from the guests themselves",
    "guest_keys": "digests for identity resolution",
    "guest_words": "search words",
    "import_chunks": "what an import created, so that it can be undone",
    "import_rows": "what an import changed, so that it can be undone",
    "guarded_evidence": "values that guards stopped; no question about segments",
    "order_consumers": "segments ask whose order it is, not who uses it",
    "quarantine": "events that are not attached count nowhere",
    "segment_members": "an answer of the lake",
}


def tables_with_guest_refs(connection: psycopg.Connection) -> set[str]:
    """Tables of a workspace with a column that names one guest or several; no partitions."""
    rows = connection.execute(
        """
        SELECT DISTINCT c.relname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'ws_live'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
            AND a.atttypid IN ('uuid'::regtype, 'uuid[]'::regtype)
            AND (a.attname ~ '^(guest|survivor|absorbed)(_ref|s)$' OR c.relname = 'guests')
        """
    ).fetchall()
    return {name for (name,) in rows}


def cascading(connection: psycopg.Connection) -> dict[str, set[str]]:
    """Table -> tables whose deleted rows take its rows with them."""
    rows = connection.execute(
        """
        SELECT a.relname, b.relname FROM pg_constraint AS k
        JOIN pg_class AS a ON a.oid = k.conrelid JOIN pg_class AS b ON b.oid = k.confrelid
        WHERE k.connamespace = 'ws_live'::regnamespace AND k.contype = 'f' AND k.confdeltype = 'c'
        """
    ).fetchall()
    parents: dict[str, set[str]] = {}
    for child, parent in rows:
        parents.setdefault(child, set()).add(parent)
    return parents


def named_in(prefix: str, before: str = "") -> set[str]:
    """Tables that the queries whose name matches `prefix` name after `before`."""
    pattern = re.compile(before + r"\{ws\}\.([a-z_]+)")
    return {
        table
        for name, text in catalogue().items()
        if re.match(prefix, name)
        for table in pattern.findall(text)
    }


def test_every_table_is_erased(api: Api, connection: psycopg.Connection) -> None:
    erased = named_in(r"[a-z_]+\.(erase|forget|drop|delete_erased)", r"(?:DELETE FROM|UPDATE) ")
    parents = cascading(connection)
    left = tables_with_guest_refs(connection) - erased
    while following := {name for name in left if parents.get(name, set()) & erased}:
        erased |= following
        left -= following
    assert left == NOT_ERASED.keys()


def test_every_table_is_in_subject_access(api: Api, connection: psycopg.Connection) -> None:
    record = named_in(
        r"privacy\.(?!erase|lock|root|insert_erased|delete_erased)|audit\.of_|[a-z_]+\.access$"
    )
    assert tables_with_guest_refs(connection) - record == NOT_IN_SUBJECT_ACCESS.keys()


def test_every_table_is_in_the_lake(api: Api, connection: psycopg.Connection) -> None:
    in_lake = named_in(r"lake\.")
    assert tables_with_guest_refs(connection) - in_lake == NOT_IN_LAKE.keys()
