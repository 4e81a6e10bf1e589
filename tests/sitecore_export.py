"""Writes the vendor's data lake export (identity.md 8) of a workspace, for tests of its import.

Columns and maps are those of the documents: `meta_*`, `core_*`, `bxt`, `ext`, and the record as raw
JSON in the form of the REST API, whose column the documents do not name.
"""

import gzip
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

Rows = Callable[[str], list[dict[str, Any]]]
SCHEMA = "ws_live"


def write_export(rows: Rows, folder: Path, migrated: Iterable[str] = ()) -> None:
    """Write everything of the workspace `live`. Guests of `migrated` were retired by a migration of
    a batch file, which names their survivors; the raw JSON of the others does."""
    lake = folder / "2026-11-30"
    migrated = {*migrated}
    for name, records in {
        "guests": [_guest(rows, row, migrated) for row in rows(f"SELECT * FROM {SCHEMA}.guests")],
        "orders": [_order(rows, row) for row in rows(f"SELECT * FROM {SCHEMA}.orders")],
        "order_items": [_item(rows, row) for row in rows(f"SELECT * FROM {SCHEMA}.order_items")],
        "sessions": [_session(row) for row in rows(SESSIONS)],
        "events": [_event(row) for row in rows(f"SELECT * FROM {SCHEMA}.events")],
    }.items():
        write(lake / name / "part-00000.parquet", records)
    _write_batches(rows, folder / "batches" / "migrations.json.gz", migrated)
    points = rows(f"SELECT * FROM {SCHEMA}.points_of_sale")
    (folder / "points-of-sale.json").write_text(
        json.dumps(
            [
                {
                    **{name: row[name] for name in ("name", "market", "brand", "language")},
                    "timeout": row["timeout_minutes"],
                }
                for row in points
            ]
        )
    )
    rules = rows(f"SELECT * FROM {SCHEMA}.identity_rules ORDER BY position")
    (folder / "identity-rules.json").write_text(
        json.dumps(
            [
                {
                    "identityRule": row["name"],
                    "providers": [each["provider"] for each in row["conditions"]],
                }
                for row in rules
            ]
        )
    )


SESSIONS = (
    # At the vendor, sessions move to the survivor (identity.md 4).
    "SELECT s.*, coalesce(g.survivor_ref, g.ref) AS moved_to "
    f"FROM {SCHEMA}.sessions AS s JOIN {SCHEMA}.guests AS g ON g.ref = s.guest_ref"
)


def _guest(rows: Rows, row: dict[str, Any], migrated: set[str]) -> dict[str, Any]:
    retired = row["survivor_ref"] is not None
    kind = "retired" if retired else row["guest_type"]
    extensions = rows(f"SELECT * FROM {SCHEMA}.guest_extensions WHERE guest_ref = '{row['ref']}'")
    raw = {
        **{
            "ref": str(row["ref"]),
            "guestType": kind,
            "href": f"https://api/v2/guests/{row['ref']}",
        },
        **{"createdAt": _iso(row["created_at"]), "modifiedAt": _iso(row["modified_at"])},
        **{"firstSeen": _iso(row["first_seen"]), "lastSeen": _iso(row["last_seen"])},
        **{_camel(name): value for name, value in row["body"].items()},
        "dataExtensions": [
            {
                **{"ref": str(each["ref"]), "name": each["name"], "key": each["key"]},
                **{"createdAt": _iso(each["created_at"]), "values": each["pairs"]},
            }
            for each in extensions
        ],
    }
    if retired and str(row["ref"]) not in migrated:
        raw["survivorRef"] = str(row["survivor_ref"])
    return {
        **_meta(row),
        **{"type": kind.upper(), "core_first_seen_at": row["first_seen"]},
        **{"core_last_seen_at": row["last_seen"], "bxt": _map(row["body"])},
        "ext": _map({k: v for each in extensions for k, v in each["pairs"].items()}),
        **{"session_traits": {}, "raw": json.dumps(raw, default=float)},
    }


def _order(rows: Rows, row: dict[str, Any]) -> dict[str, Any]:
    people = {
        name: rows(f"SELECT * FROM {SCHEMA}.order_{name} WHERE order_ref = '{row['ref']}'")
        for name in ("contacts", "consumers")
    }
    raw = {
        **{"ref": str(row["ref"]), "referenceId": row["reference_id"]},
        **{"orderedAt": _iso(row["ordered_at"]), "createdAt": _iso(row["created_at"])},
        **{"modifiedAt": _iso(row["modified_at"])},
        **{_camel(name): value for name, value in row["body"].items()},
        "extensions": _extensions(rows, "order", row["ref"]),
        **{name: {"items": [_person(rows, one) for one in each]} for name, each in people.items()},
    }
    return {
        **_meta(row),
        **{"core_ordered_at": row["ordered_at"], "core_reference_id": row["reference_id"]},
        **{"meta_guest_ref": str(people["contacts"][0]["guest_ref"]), "type": "STANDARD"},
        **{"core_price": float(row["body"]["price"]), "bxt": _map(row["body"])},
        "raw": json.dumps(raw, default=float),
    }


def _person(rows: Rows, row: dict[str, Any]) -> dict[str, Any]:
    used = rows(
        f"SELECT order_item_ref FROM {SCHEMA}.order_consumer_items "
        f"WHERE order_consumer_ref = '{row['ref']}' ORDER BY position"
    )
    items = [{"href": f"https://api/v2.1/orderItems/{one['order_item_ref']}"} for one in used]
    return {
        **{"href": f"https://api/v2.1/orderContacts/{row['ref']}"},
        **{"guest": {"href": f"https://api/v2.1/guests/{row['guest_ref']}"}},
        **{_camel(name): value for name, value in row["body"].items()},
        **({"orderItems": {"items": items}} if items else {}),
    }


def _item(rows: Rows, row: dict[str, Any]) -> dict[str, Any]:
    raw = {
        **{"ref": str(row["ref"]), "orderedAt": _iso(row["ordered_at"])},
        **{"modifiedAt": _iso(row["modified_at"])},
        **{_camel(name): value for name, value in row["body"].items()},
        "extensions": _extensions(rows, "order_item", row["ref"]),
    }
    return {
        **_meta(row),
        **{"meta_order_ref": str(row["order_ref"]), "type": row["body"]["type"]},
        "raw": json.dumps(raw, default=float),
    }


def _extensions(rows: Rows, owner: str, ref: Any) -> list[dict[str, Any]]:
    row = rows(f"SELECT * FROM {SCHEMA}.{owner}_extensions WHERE {owner}_ref = '{ref}'")
    return [
        {"ref": str(one["ref"]), "name": one["name"], "key": one["key"], **one["pairs"]}
        for one in row
    ]


def _session(row: dict[str, Any]) -> dict[str, Any]:
    details = row["details"]
    spelt = {
        **{"point_of_sale": "pointOfSale", "currency": "currencyCode", "language": "language"},
        **{"referrer": "referer", "operating_system": "operatingSystem"},
        **{"user_agent": "userAgent", "first_page": "firstPageURI", "last_page": "lastPageURI"},
        **{"utm": "utmAttributes", "custom": "customData"},
    }
    over = row["closed_at"] is not None
    raw = {
        **{"ref": str(row["ref"]), "guestRef": str(row["moved_to"])},
        **{"browserRef": str(row["browser_ref"]), "status": "CLOSED" if over else "OPEN"},
        **{"channel": row["channel"], "sessionType": "WEB"},
        **{"startedAt": _iso(row["started_at"]), "endedAt": _iso(row["last_at"])},
        **({"cartType": row["cart_type"]} if over else {}),
        **{spelt[name]: value for name, value in details.items()},
    }
    return {
        **_meta(row),
        **{"meta_guest_ref": str(row["moved_to"]), "type": "WEB", "core_channel": row["channel"]},
        **{"core_status": raw["status"], "core_started_at": row["started_at"]},
        **{"core_ended_at": row["last_at"], "raw": json.dumps(raw, default=float)},
    }


def _event(row: dict[str, Any]) -> dict[str, Any]:
    body = row["body"]
    raw = {
        **{"ref": str(row["ref"]), "createdAt": _iso(row["at"]), "status": "PROCESSED"},
        **{"modifiedAt": _iso(row["received_at"]), "browserRef": str(row["browser_ref"])},
        **{"sessionRef": str(row["session_ref"]), "arbitraryData": body.get("data", {})},
    }
    core = {"currency": "core_currency_code", "language": "core_language", "page": "core_page"}
    return {
        **{"meta_ref": str(row["ref"]), "meta_client_key": "key", "meta_created_at": row["at"]},
        **{"meta_modified_at": row["received_at"], "type": row["type"]},
        **{"core_channel": row["channel"], "core_point_of_sale": row["point_of_sale"]},
        **{column: body.get(name) for name, column in core.items()},
        "raw": json.dumps(raw, default=float),
    }


def _write_batches(rows: Rows, path: Path, migrated: set[str]) -> None:
    path.parent.mkdir(parents=True)
    guests = {str(row["ref"]): row for row in rows(f"SELECT * FROM {SCHEMA}.guests")}
    with gzip.open(path, "wt") as file:
        for ref in sorted(migrated):
            row = guests[ref]
            parties = (row, guests[str(row["survivor_ref"])])
            source, target = ({"identifiers": one["body"]["identifiers"]} for one in parties)
            value = {"migrateFrom": source, "migrateTo": target}
            record = {"ref": ref, "schema": "migration", "mode": "guest", "value": value}
            file.write(json.dumps(record) + "\n")


def _meta(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{"meta_ref": str(row["ref"]), "meta_client_key": "key"},
        **{"meta_created_at": row["created_at"], "meta_modified_at": row["modified_at"]},
    }


def _map(members: dict[str, Any]) -> dict[str, str]:
    """A map of texts, as the documents show them."""
    return {
        _camel(name): value if isinstance(value, str) else json.dumps(value, default=float)
        for name, value in members.items()
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def write(path: Path, records: list[dict[str, Any]]) -> None:
    """Write rows as Parquet, maps as MAP(VARCHAR, VARCHAR)."""
    path.parent.mkdir(parents=True)
    names = list(dict.fromkeys(name for record in records for name in record))
    records = [dict.fromkeys(names) | record for record in records]
    types = [_type(next((r[n] for r in records if r[n] is not None), "")) for n in names]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE t ({columns})")
        for record in records:
            marks = ", ".join(
                "map_from_entries(?::STRUCT(k VARCHAR, v VARCHAR)[])"
                if kind.startswith("MAP")
                else "?"
                for kind in types
            )
            values = [
                [{"k": k, "v": v} for k, v in record[name].items()]
                if isinstance(record[name], dict)
                else record[name]
                for name in names
            ]
            connection.execute(f"INSERT INTO t VALUES ({marks})", values)
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")


def _type(value: Any) -> str:
    if isinstance(value, dict):
        return "MAP(VARCHAR, VARCHAR)"
    if isinstance(value, datetime):
        return "TIMESTAMP"
    return "DOUBLE" if isinstance(value, float) else "VARCHAR"
