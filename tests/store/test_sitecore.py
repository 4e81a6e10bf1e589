"""I13: what a tenant takes along from the vendor comes over with its refs (identity.md 4, 8)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import typer
from databases import cloned
from in_process import Site, running
from psycopg.rows import dict_row
from sitecore_export import write, write_export
from typer.testing import CliRunner, Result

from innkeeper.actions.bulk import transfers
from innkeeper.cli.imports import import_
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.store.work import Work
from innkeeper.wire.bulk.sitecore import session


@pytest.fixture
def vendor(dsn: str) -> Iterator[None]:
    with running(dsn):
        yield


@pytest.fixture
def target(server: str, template: str) -> Iterator[str]:
    """An installation without data."""
    with cloned(server, template) as address:
        yield address


def run(folder: Path, dsn: str, *words: str) -> Result:
    app = typer.Typer()
    app.command()(import_)
    return CliRunner().invoke(app, ["sitecore", str(folder), "--database", dsn, *words])


def printed_counts(result: Result) -> dict[str, str]:
    """The printed counts: kind of record -> source and here."""
    lines = [line.rsplit(None, 2) for line in result.stdout.splitlines()[1:]]
    return {kind.strip(): f"{source} {here}" for kind, source, here in lines}


def fill() -> dict[str, Any]:
    """Fill the workspace with one of everything; returns the refs that tests ask for."""
    created = Site.body_of
    created(
        "POST", "/v2/tenants/points-of-sale", {"name": "shop.ie", "market": "IE", "timeout": 30}
    )
    created("POST", "/v2/tenants/identity-rules", {"identityRule": "CRM", "providers": ["CRM"]})

    def guest(name: str, **more: Any) -> str:
        body = {"guestType": "customer", "firstName": name, **more}
        return str(created("POST", "/v2.1/guests", body)["ref"])

    mail = {"provider": "email", "id": "ada@example.com"}
    ada = guest(
        *("Ada",), lastName="Byron", email="ada@example.com", phoneNumbers=["+353 1 234"],
        identifiers=[mail, {"provider": "CRM", "id": "0042", "expiryDate": "2030-01-01T00:00"}],
        dateOfBirth="1985-12-24", country="IE", street=["1 Main St", "Cork"],
        gender="Female", subscriptions=[{"name": "news", "status": "SUBSCRIBED"}],
    )  # fmt: skip
    pairs = {"name": "ext", "points": 12.5, "vip": True, "code": "00042", "many": 12345678901234567}
    created("POST", f"/v2.1/guests/{ada}/extensions", pairs)
    created("POST", f"/v2.1/guests/{ada}/extensions", {"name": "loyalty", "tier": "gold"})
    old = guest("Ada", identifiers=[{"provider": "CRM", "id": "7"}])
    older = guest("Adeline", identifiers=[{"provider": "Other", "id": "x"}])
    bob = guest("Bob", identifiers=[{"provider": "CRM", "id": "8"}])
    for survivor, absorbed in ((old, older), (ada, old)):
        created("POST", "/innkeeper/v1/merges", {"survivor": survivor, "absorbed": absorbed})
    order = created(
        *("POST", "/v2.1/orders"),
        {
            **{"referenceId": "R-1", "orderedAt": "2026-03-01T10:00:00.000Z", "price": 99.9},
            **{"currencyCode": "EUR", "status": "PURCHASED", "channel": "WEB"},
            **{"pointOfSale": "shop.ie", "paymentType": "Card", "cardType": "Visa"},
        },
    )["ref"]
    person = {"identifiers": [mail], "firstName": "Ada"}
    created("POST", f"/v2.1/orders/{order}/contacts", person)
    item = created(
        *("POST", f"/v2.1/orders/{order}/orderItems"),
        {
            **{"name": "Shoe", "type": "SHOE", "productId": "S", "price": 99.9, "quantity": 1},
            **{"currencyCode": "EUR", "status": "PURCHASED"},
        },
    )["ref"]
    created("POST", f"/v2.1/orders/{order}/extensions/ext", {"key": "default", "gift": True})
    created("POST", f"/v2.1/orderItems/{item}/extensions/ext", {"key": "default", "size": 42})
    link = {"href": f"http://test/v2.1/orderItems/{item}"}
    traveller = {"identifiers": [{"provider": "CRM", "id": "9"}], "orderItems": {"items": [link]}}
    created("POST", f"/v2.1/orders/{order}/consumers", traveller)
    client = Site.logins["open"].client_key
    browsers = [
        created("GET", f"/v1.2/browser/create.json?client_key={client}&message={{}}")["ref"]
        for _ in range(2)
    ]
    for browser in browsers:
        Site.event(browser, "VIEW", page="home", language="EN", currency="EUR", pos="shop.ie")
        Site.event(browser, "SIZE_CHOSEN", page="shoe", pos="shop.ie", ext={"size": 42})
    Site.event(browsers[0], "IDENTITY", identifiers=[mail], email="ada@example.com", pos="shop.ie")
    Site.write("UPDATE ws_live.sessions SET closed_at = last_at, cart_type = 'BROWSED'"
               f" WHERE browser_ref = '{browsers[1]}'")  # fmt: skip
    return {"ada": ada, "old": old, "older": older, "bob": bob, "browser": browsers[0]}


QUERIES = {
    "guests": """SELECT ref, CASE WHEN survivor_ref IS NULL THEN guest_type END AS type, body,
        first_seen, last_seen, created_at, modified_at, survivor_ref FROM {ws}.guests""",
    "keys": "SELECT key, guest_ref FROM {ws}.guest_keys",
    "extensions": "SELECT guest_ref, name, key, ref, pairs FROM {ws}.guest_extensions",
    "merges": "SELECT absorbed_ref FROM {ws}.merges WHERE undone_at IS NULL",
    "before merges": """SELECT ref, unmerged -> 'now' -> 'body' FROM {ws}.guests
        WHERE survivor_ref IS NULL""",
    "orders": "SELECT ref, reference_id, reference_key, ordered_at, body FROM {ws}.orders",
    "items": "SELECT ref, order_ref, ordered_at, body FROM {ws}.order_items",
    "contacts": "SELECT ref, order_ref, guest_ref, body FROM {ws}.order_contacts",
    "consumers": "SELECT ref, order_ref, guest_ref, body FROM {ws}.order_consumers",
    "uses": "SELECT * FROM {ws}.order_consumer_items",
    "order extensions": "SELECT order_ref, name, key, ref, pairs FROM {ws}.order_extensions",
    "item extensions": """SELECT order_item_ref, name, key, ref, pairs
        FROM {ws}.order_item_extensions""",
    "sessions": """SELECT s.ref, browser_ref, coalesce(survivor_ref, g.ref), channel, started_at,
        last_at, events, details, cart_type, closed_at IS NULL
        FROM {ws}.sessions AS s JOIN {ws}.guests AS g ON g.ref = guest_ref""",
    "events": """SELECT e.ref, at, session_ref, coalesce(survivor_ref, g.ref), browser_ref, type,
        channel, point_of_sale, e.body, received_at
        FROM {ws}.events AS e JOIN {ws}.guests AS g ON g.ref = guest_ref""",
    "browsers": """SELECT b.ref, coalesce(survivor_ref, g.ref), channel, point_of_sale
        FROM {ws}.browsers AS b JOIN {ws}.guests AS g ON g.ref = guest_ref""",
    "points of sale": """SELECT name, market, brand, language, timeout_minutes
        FROM {ws}.points_of_sale""",
    "rules": "SELECT position, name, conditions FROM {ws}.identity_rules",
    "counts": """SELECT guest_type, sum(guests) FROM {ws}.guest_counts
        GROUP BY 1 HAVING sum(guests) > 0""",
}


def everything(dsn: str, *without: str) -> dict[str, list[str]]:
    """Everything that an export holds, in a form to compare."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return {
            name: sorted(
                json.dumps(row, default=str, sort_keys=True)
                for row in connection.execute(sql.replace("{ws}", "ws_live"))  # type: ignore[arg-type]
            )
            for name, sql in QUERIES.items()
            if name not in without
        }


def test_i13_everything_comes_over_with_its_refs(
    vendor: None, dsn: str, target: str, tmp_path: Path
) -> None:
    refs = fill()
    folder = tmp_path / "tenant"
    write_export(Site.rows, folder, migrated=[refs["old"]])
    done = run(folder, target)
    assert done.exit_code == 0, done.output
    expected, result = everything(dsn), everything(target)
    for name, rows in expected.items():
        assert rows, name
        assert result[name] == rows, name
    assert printed_counts(done) == {
        **{"identity rules": "2 2", "points of sale": "2 2", "guests": "4 4"},
        **{"identifiers": "4 4", "data extensions": "4 4", "retired guests": "3 3"},
        **{"orders": "1 1", "order contacts": "1 1", "order items": "1 1"},
        **{"order consumers": "1 1", "sessions": "2 2", "browsers": "2 2", "events": "5 5"},
    }
    # Again, as after a kill: nothing is doubled, nothing changes.
    again = run(folder, target)
    assert again.exit_code == 0, again.output
    assert everything(target) == result


def undo(dsn: str, done: Result, *words: str) -> Result:
    """Run the undo that an import named."""
    (ref,) = re.findall("innkeeper import undo (\\S+)", done.stderr)
    app = typer.Typer()
    app.command()(import_)
    return CliRunner().invoke(app, ["undo", ref, "--database", dsn, *words])


def test_i10_the_import_of_an_export_is_undone(
    vendor: None, dsn: str, target: str, tmp_path: Path
) -> None:
    """All records that it created go; rules and points of sale stay, and are named. Hand-counted:
    in `fill` the vendor has 7 guests, 4 of them live, and the consumer's is one of these."""
    refs = fill()
    folder = tmp_path / "tenant"
    write_export(Site.rows, folder, migrated=[refs["old"]])
    before = everything(target, "points of sale", "rules")
    done = run(folder, target)
    output = undo(target, done, "--dry-run").stdout
    counts = dict(re.findall(r"^(\w+) +(\d+) +0 *$", output, re.MULTILINE))
    assert counts == {
        **{"guests": "7", "orders": "1", "items": "1", "contacts": "1", "consumers": "1"},
        **{"extensions": "4", "browsers": "2", "sessions": "2", "events": "5"},
    }
    assert "Not undone: identity rules (1), points of sale (1)." in output
    undone = undo(target, done)
    assert undone.exit_code == 0, undone.output
    assert everything(target, "points of sale", "rules") == before
    # It can be imported again.
    assert run(folder, target).exit_code == 0
    assert everything(target) == everything(dsn)


def test_i10_an_import_that_fails_names_the_settings_that_it_changed(
    vendor: None, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    write_export(Site.rows, tmp_path / "tenant")

    async def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(transfers, "transfer_sessions", fail)
    failed = run(tmp_path / "tenant", target)
    assert failed.exit_code == 1
    with psycopg.connect(target) as connection:
        rows = connection.execute(
            "SELECT state, file_options -> 'not_undone' FROM ws_live.batches"
        ).fetchall()
    assert rows == [("error", {"identity rules": 1, "points of sale": 1})]


def test_i10_of_a_newer_export_what_it_changed_goes_back(target: str, tmp_path: Path) -> None:
    """The guest of the older one has its fields and keys again; a later change blocks, by name."""
    bxt = {"identifiers": '[{"provider": "email", "id": "ada@example.com"}]'}
    newer = {"identifiers": '[{"provider": "email", "id": "augusta@example.com"}]'}
    one = documented("Ada", "2026-02-01T00:00:00.000Z", **bxt)
    write(tmp_path / "2026-03-01" / "guests" / "part-0.parquet", [one])
    first = run(tmp_path, target)
    before = everything(target)
    changed = documented("Augusta", "2026-03-02T00:00:00.000Z", **newer)
    write(tmp_path / "2026-03-02" / "guests" / "part-0.parquet", [changed])
    second = run(tmp_path, target)
    assert everything(target)["keys"] != before["keys"]
    refused = undo(target, first)
    assert refused.exit_code == 1
    assert f"guest {ADA}" in str(refused.exception)
    assert undo(target, second).exit_code == 0
    assert everything(target) == before
    assert undo(target, first).exit_code == 0
    assert guests(target) == {}


ADA, RETIRED = str(uuid4()), str(uuid4())


def documented(name: str, modified: str, **bxt: str) -> dict[str, Any]:
    """A guest with no more than the columns that the documents name."""
    at = "2026-01-02T03:04:05.000Z"
    return {
        **{"meta_ref": ADA, "meta_client_key": "key", "meta_created_at": at},
        **{"meta_modified_at": modified, "type": "CUSTOMER", "core_first_seen_at": at},
        **{"core_last_seen_at": at, "bxt": {"firstName": name, **bxt}},
        **{"ext": {"loyaltyLevel": "silver"}, "session_traits": {}},
    }


@pytest.mark.long
def test_i13_a_guest_of_documented_columns_a_newer_export_and_what_is_missing(
    target: str, tmp_path: Path
) -> None:
    bxt = {
        **{"emails": '["ada@example.com"]', "country": "Neverland"},
        "identifiers": '[{"provider": "email", "id": "ada@example.com"}]',
    }
    old = documented("Ada", "2026-02-01T00:00:00.000Z", **bxt)
    retired = {**old, "meta_ref": RETIRED, "type": "RETIRED", "bxt": {"firstName": "Nobody"}}
    write(tmp_path / "2026-03-01" / "guests" / "part-0.parquet", [old, retired])
    done = run(tmp_path, target)
    # Nothing names the survivor, so the counts disagree: the guest is named.
    assert done.exit_code == 2, done.output
    assert (printed_counts(done)["retired guests"], printed_counts(done)["guests"]) == (
        "1 0",
        "1 1",
    )
    missing = json.loads((tmp_path.parent / f"{tmp_path.name}.missing.ndjson").read_text())
    assert (missing["entity"], missing["ref"]) == ("retired guests", RETIRED)
    assert "not imported from guests: country" in done.stderr
    expected = {
        **{"first_name": "Ada", "email": "ada@example.com", "emails": ["ada@example.com"]},
        "identifiers": [{"provider": "email", "id": "ada@example.com"}],
    }
    assert guests(target) == {ADA: expected}
    # The next export: the newest alone counts, and what changed since then is taken.
    new = documented("Augusta", "2026-03-02T00:00:00.000Z", **bxt)
    survivor = {**retired, "survivor_ref": ADA}
    write(tmp_path / "2026-03-02" / "guests" / "part-0.parquet", [new, survivor])
    done = run(tmp_path, target)
    assert done.exit_code == 0, done.output
    assert guests(target) == {
        ADA: {**expected, "first_name": "Augusta"},
        RETIRED: {"first_name": "Nobody"},
    }
    with psycopg.connect(target) as connection:
        merged = connection.execute("SELECT survivor_ref, absorbed_ref, source FROM ws_live.merges")
        assert merged.fetchall() == [(UUID(ADA), UUID(RETIRED), "sitecore import")]
        # What was written here since then stays, however often the export is imported.
        connection.execute(
            'UPDATE ws_live.guests SET modified_at = now(), body = body || \'{"city": "Cork"}\''
            f" WHERE ref = '{ADA}'"
        )
    assert run(tmp_path, target).exit_code == 0
    assert guests(target)[ADA] == {**expected, "first_name": "Augusta", "city": "Cork"}


def test_i13_migrations_are_added_in_parts(vendor: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One statement with all of a tenant's migrations would exceed the size of a jsonb value."""
    monkeypatch.setattr(transfers, "_TARGETS", 2)
    people = [{"identifiers": [{"provider": "CRM", "id": str(number)}]} for number in range(6)]
    keys = [key for person in people for key in guest_keys(person)]

    async def added(work: Work) -> dict[UUID, Any]:
        await transfers.add_targets(work, ((one, people[5]) for one in people[:5]))
        rows = await work.all("transfers.targets", keys=keys)
        return {row["key"]: row["person"] for row in rows}

    assert Site.do(added) == dict.fromkeys(keys[:5], people[5])


def guests(dsn: str) -> dict[str, Any]:
    with psycopg.connect(dsn) as connection:
        return {
            str(ref): body
            for ref, body in connection.execute("SELECT ref, body FROM ws_live.guests")
        }


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds neither Parquet files"),
        ({"identity-rules.json": "{}", "b.json": "{}"}, "must contain a list of objects"),
    ],
)
def test_i13_a_folder_that_cannot_be_imported(
    dsn: str, tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = run(tmp_path, dsn)
    assert words in str(done.exception), done.output


def test_i13_batch_files_alone_are_applied(target: str, tmp_path: Path) -> None:
    """A tenant without the data lake export has the files that it sent."""
    batch = Path(__file__).parent.parent / "presets" / "sitecore_batch.ndjson"
    (tmp_path / "2026.ndjson").write_bytes(batch.read_bytes())
    done = run(tmp_path, target)
    assert done.exit_code == 0, done.output
    assert [body["first_name"] for body in guests(target).values()] == ["Ada"]


@pytest.mark.parametrize(("status", "faults"), [("OPEN", 1), ("CLOSED", 0)])
def test_i13_an_open_session_lacks_its_cart_and_is_counted(status: str, faults: int) -> None:
    """The vendor's export has no carts; that of a closed session is summed up in its type."""
    ref = str(uuid4())
    raw = json.dumps({"ref": ref, "status": status, "startedAt": "2026-01-02T03:04:05Z"})
    result = session({"meta_ref": ref, "raw": raw})
    assert list(result.faults) == ["cart: the export does not have those of open sessions"] * faults
