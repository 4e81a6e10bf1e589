"""Erasure, subject access, the block list and the scrub (segmentation-and-export.md 5)."""

import gzip
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg
import pytest
from batching import packed, record, upsert
from calling import Api, body_of
from idle import Command, api, command, server
from process import Innkeeper, answer, run
from streams import Page

from innkeeper.store.binaries import binaries, runner
from innkeeper.store.embedded_roles import administrator

PLANTED = 50
__all__ = ["api", "command", "server"]


class Plants:
    """Words that stand nowhere else, each to be found again by looking at bytes."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def word(self) -> str:
        word = f"plant{len(self.words):02}" + hashlib.sha256(uuid4().bytes).hexdigest()[:12]
        word = word.translate(str.maketrans("0123456789", "ghijklmnop"))
        self.words.append(word)
        return word

    def email(self) -> str:
        return f"{self.word()}@example.com"

    def found_in(self, content: bytes) -> set[str]:
        text = content.lower()
        return {word for word in self.words if word.encode() in text}


def person(plants: Plants) -> dict[str, Any]:
    email = plants.email()
    return {
        "guestType": "customer",
        "firstName": plants.word(),
        "lastName": plants.word(),
        "title": plants.word(),
        "email": email,
        "phoneNumbers": [plants.word()],
        "passportNumber": plants.word(),
        "street": [plants.word(), plants.word()],
        "city": plants.word(),
        "postCode": plants.word(),
        "nationality": plants.word(),
        "identifiers": [
            {"provider": "email", "id": email},
            {"provider": "CRM", "id": plants.word()},
        ],
    }


def plant_guest(api: Api, plants: Plants) -> tuple[dict[str, Any], str]:
    """A guest with extensions, a merge, its evidence, and answers kept for repeats."""
    about = person(plants)
    key = {"Idempotency-Key": str(uuid4())}
    guest = body_of(api.post("/v2.1/guests", json=about, headers=key))
    path = f"/v2.1/guests/{guest['ref']}"
    body_of(
        api.post(
            f"{path}/extensions",
            json={"name": "ext", **{f"note{n}": plants.word() for n in range(6)}},
        )
    )
    body_of(api.post(f"{path}/extensions", json={"name": plants.word(), "more": plants.word()}))
    # Old values: what an update leaves behind is personal as well.
    body_of(api.patch(path, json={"city": plants.word()}))
    other = body_of(api.post("/v2.1/guests", json=person(plants)))
    merge = {"survivor": guest["ref"], "absorbed": other["ref"]}
    body_of(api.post("/innkeeper/v1/merges", json=merge))
    body_of(api.patch(path, json={"state": plants.word()}))
    return guest, about["email"]


def plant_order(api: Api, plants: Plants, guest: dict[str, Any], email: str) -> str:
    order = body_of(
        api.post(
            "/v2.1/orders",
            json={
                "referenceId": plants.word(),
                "orderedAt": "2024-01-01T10:00:00Z",
                "currencyCode": "EUR",
                "price": 12.5,
                "paymentType": plants.word(),
            },
        )
    )
    path = f"/v2.1/orders/{order['ref']}"
    item = {"name": plants.word(), "type": "SHOE", "price": 1, "currencyCode": "EUR"}
    body_of(
        api.post(
            f"{path}/orderItems", json={**item, "status": "PURCHASED", "description": plants.word()}
        )
    )
    contact = {"firstName": plants.word(), "lastName": plants.word(), "emails": [plants.email()]}
    identifiers = [{"provider": "email", "id": email}]
    body_of(api.post(f"{path}/contacts", json={**contact, "identifiers": identifiers}))
    body_of(api.post(f"{path}/extensions/ext", json={"gift": plants.word()}))
    return str(order["ref"])


def plant_events(api: Api, plants: Plants, email: str) -> str:
    page = Page(api)
    page("VIEW", page=plants.word(), ext={"note": plants.word()})
    identifiers = [{"provider": "email", "id": email}]
    page("IDENTITY", identifiers=identifiers, firstname=plants.word(), city=plants.word())
    page("SEARCH", product_name=plants.word())
    page("VIEW", page=plants.word(), pos="nowhere")
    page("FORCE_CLOSE")
    return page.browser


def plant_uploads(api: Api, plants: Plants, email: str) -> tuple[str, str]:
    """An upload that waits, with the guest and somebody else in it."""
    stays = f"stays-{uuid4().hex}@example.com"
    identified = {"email": email, "identifiers": [{"provider": "email", "id": email}]}
    order = {
        "referenceId": plants.word(),
        "channel": "WEB",
        "pointOfSale": "default",
        "orderedAt": "2024-02-01T00:00Z",
        "contact": {**identified, "firstName": plants.word()},
    }
    file = packed(
        [
            upsert(email, firstName=plants.word()),
            upsert(stays, firstName="Stays"),
            record("order", "upsert", order),
        ]
    )
    declared = {"checksum": hashlib.md5(file, usedforsecurity=False).hexdigest(), "size": len(file)}
    batch = body_of(api.put(f"/v2/batches/{uuid4()}", json=declared))
    assert api.put(batch["location"]["href"], content=file, auth=None).status_code == 200
    return str(batch["ref"]), stays


def plant_log(server: Innkeeper, plants: Plants) -> None:
    """A word in PostgreSQL's own log, which quotes a statement that fails; and everything that
    was planted before in its tables, not in memory alone."""
    dsn = json.loads((server.data / "server.json").read_text())["dsn"]
    with psycopg.connect(administrator(dsn), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute(f"SELECT '{plants.word()}' FROM nowhere")


def plant_audiences(api: Api, server: Innkeeper, guest: dict[str, Any]) -> dict[str, Any]:
    """A Live segment with the guest in it, and files of audience exports that hold them."""
    rule = {"field": "ref", "comparator": "is not null", "values": []}
    definition = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
    segment = body_of(
        api.post("/innkeeper/v1/segments", json={"name": "All", "definition": definition})
    )
    assert api.post(f"/innkeeper/v1/segments/{segment['ref']}/start").status_code == 202
    executions = {}
    for form in ("CSV", "NDJSON", "PARQUET"):
        body = {"name": form, "friendlyId": form.lower(), "segment": segment["ref"], "format": form}
        export = body_of(api.post("/innkeeper/v1/exports", json=body))
        started = api.post(f"/innkeeper/v1/exports/{export['ref']}/run")
        executions[form] = started.json()["executionRef"]
    run_jobs(server)
    stored = body_of(api.get(f"/innkeeper/v1/segments/{segment['ref']}/guests"))
    assert guest["ref"] in stored["items"]
    return executions


def scan(data: Path, plants: Plants) -> dict[str, set[str]]:
    """Words that stand in a file of the data folder: as bytes, unpacked, and in Parquet."""
    results = {}
    for path in data.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content += gzip.decompress(content)
        if content[:4] == b"PAR1":
            rows = duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()
            content += repr(rows).encode()
        if words := plants.found_in(content):
            results[str(path.relative_to(data))] = words
    return results


def dumped(server: Innkeeper) -> bytes:
    dsn = json.loads((server.data / "server.json").read_text())["dsn"]
    binary = binaries(runner()).folder / "pg_dump"
    return subprocess.run([binary, dsn], capture_output=True, check=True).stdout


def test_an_erased_person_leaves_no_byte_behind(
    server: Innkeeper, api: Api, command: Command
) -> None:
    """Issue 5: 50 planted strings, the data folder and a dump after the scrub."""
    plants = Plants()
    guest, email = plant_guest(api, plants)
    plant_order(api, plants, guest, email)
    plant_events(api, plants, email)
    command("lake", "flush")
    exported = body_of(api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}))
    exports = api.get(exported["href"]).json()
    assert exports["status"] == "waiting"
    by_hand = command("jobs", "list")
    assert "file_exports.write" in by_hand
    run_jobs(server)
    bystander = body_of(
        api.post("/v2.1/guests", json={"guestType": "visitor", "city": "bystander"})
    )
    executions = plant_audiences(api, server, guest)
    plant_uploads(api, plants, email)
    plant_log(server, plants)
    assert len(plants.words) >= PLANTED
    before = scan(server.data, plants)
    exports_at_rest = [f"exports/{ref}" for ref in (exported["ref"], *executions.values())]
    for kind in ("lake/", "uploads/", "postgres.log", "pg_wal/", "base/", *exports_at_rest):
        assert any(kind in path for path in before), f"nothing stands in {kind}"
    everywhere = set().union(*before.values())
    assert everywhere == set(plants.words), "each word stands somewhere"

    receipt = command("privacy", "erase", guest["ref"], "--yes", "--json")
    # The guest, the one merged into it, and the visitor who turned out to be them.
    assert receipt["guests"] == receipt["removed"]["guests"] == 3
    assert {"orders", "events", "sessions", "quarantine", "merges", "answers"} <= receipt[
        "removed"
    ].keys()
    assert receipt["removed"]["segmentMembers"] == 1
    assert receipt["files"]["audienceExports"] == len(executions)
    assert receipt["files"].keys() >= {"uploads", "exports", "lake"}
    at_rest = {path for path in scan(server.data, plants) if not path.startswith("postgres")}
    assert at_rest == set(), "files at rest need no scrub"
    assert not any((server.data / "scratch").iterdir())
    assert not plants.found_in(dumped(server)), "a dump needs no scrub"
    command("privacy", "scrub", "--yes", "--json")
    assert not plants.found_in(dumped(server))
    assert api.get(f"/v2.1/guests/{bystander['ref']}").json()["city"] == "bystander"
    listing = body_of(api.get(f"/innkeeper/v1/exports/executions/{executions['NDJSON']}/files"))
    left = api.get(listing["exports"][0]["url"], auth=None).content
    assert [json.loads(line)["ref"] for line in gzip.decompress(left).splitlines()] == [
        bystander["ref"]
    ]
    server.stop()
    assert scan(server.data, plants) == {}
    assert not plants.found_in(server.log.read_bytes()), "the log of requests names nobody"
    assert b"bystander" in b"".join(
        path.read_bytes()
        for path in (server.data / "postgres" / "base").rglob("*")
        if path.is_file()
    )


def run_jobs(server: Innkeeper) -> None:
    """What the worker would do with what waits."""
    answer("jobs", "run", "--once", "--data", server.data)


def test_an_upload_that_waits_loses_the_erased_and_keeps_the_others(
    server: Innkeeper, api: Api, command: Command
) -> None:
    plants = Plants()
    guest, email = plant_guest(api, plants)
    batch, stays = plant_uploads(api, plants, email)
    command("privacy", "erase", guest["ref"], "--yes")
    run_jobs(server)
    inspected = body_of(api.get(f"/v2/batches/inspect/{batch}"))
    assert (inspected["status"]["code"], inspected["totalRecords"]) == ("success", 1)
    assert api.get("/v2.1/guests", params={"email": stays}).json()["totalCount"] == 1
    assert api.get("/v2.1/guests", params={"email": email}).json()["totalCount"] == 0


def test_receipts_name_nobody_and_stay_in_the_audit_log(
    server: Innkeeper, api: Api, command: Command
) -> None:
    guest = api.guest(email="jane@example.com", firstName="Jane")
    receipt = command("privacy", "erase", guest["ref"], "--yes", "--json")
    assert receipt["by"] == "operator"
    assert re.fullmatch("[0-9a-f]{64}", receipt["subject"])
    assert guest["ref"] not in json.dumps(receipt)
    dsn = json.loads((server.data / "server.json").read_text())["dsn"]
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT actor, workspace, details::text FROM innkeeper.audit_log "
            "WHERE action = 'privacy.erase'"
        ).fetchall()
    ((actor, workspace, details),) = rows
    assert (actor, workspace) == ("operator", "live")
    assert json.loads(details)["salted"] == receipt["subject"]
    assert "jane" not in details.lower()
    assert guest["ref"] not in details


def test_subject_access_holds_everything_absorbed_records_included(
    server: Innkeeper, api: Api, command: Command, tmp_path: Path
) -> None:
    plants = Plants()
    guest, email = plant_guest(api, plants)
    plant_order(api, plants, guest, email)
    plant_events(api, plants, email)
    upload, _ = plant_uploads(api, plants, email)
    html, out = tmp_path / "page.html", tmp_path / "subject.json"
    command("privacy", "access", guest["ref"], "--html", html, "--out", out)
    report = out.read_bytes()
    assert plants.found_in(report) == set(plants.words)
    assert plants.found_in(html.read_bytes()) == set(plants.words)
    document = json.loads(report)
    assert len(document["guests"]) == 3
    assert document["held"]["merges"][0]["survivorRef"] == guest["ref"]
    assert document["held"]["joinedRecords"]
    # The upload has a line of somebody else as well.
    assert [(one["batch"], one["line"]) for one in document["held"]["uploads"]] == [
        (upload, 1),
        (upload, 3),
    ]
    assert b"Stays" not in report
    by_http = body_of(api.get(f"/innkeeper/v1/privacy/subjects/{guest['ref']}"))
    assert by_http["held"].keys() == document["held"].keys()
    assert api.get(f"/innkeeper/v1/privacy/subjects/{uuid4()}").status_code == 404


def test_modes_over_http(api: Api) -> None:
    """`delete` keeps orders, `gdpr_delete` takes them (batch-api.md 6)."""
    for mode, left in (("delete", 200), ("gdpr_delete", 404)):
        plants = Plants()
        guest, email = plant_guest(api, plants)
        order = plant_order(api, plants, guest, email)
        receipt = body_of(
            api.post(
                "/innkeeper/v1/privacy/erasures", json={"guestRef": guest["ref"], "mode": mode}
            )
        )
        assert receipt["mode"] == mode
        assert api.get(f"/v2.1/guests/{guest['ref']}").status_code == 404
        assert api.get(f"/v2.1/orders/{order}").status_code == left
    again = api.post("/innkeeper/v1/privacy/erasures", json={"guestRef": guest["ref"]})
    assert again.status_code == 404
    bad = api.post("/innkeeper/v1/privacy/erasures", json={"guestRef": "x", "mode": "y"})
    assert bad.status_code == 400
    assert len(bad.json()["errors"]) == 2


def test_what_is_suppressed_does_not_come_back(
    server: Innkeeper, api: Api, command: Command, tmp_path: Path
) -> None:
    email = "gone@example.com"
    identifiers = [{"provider": "email", "id": email}]
    guest = api.guest(email=email, identifiers=identifiers)
    receipt = body_of(
        api.post(
            "/innkeeper/v1/privacy/erasures", json={"guestRef": guest["ref"], "suppress": True}
        )
    )
    assert receipt["removed"]["guests"] == 1
    file = tmp_path / "people.ndjson"
    file.write_text(
        json.dumps({"identifiers": [{"provider": "email", "id": "GONE@example.com"}]})
        + "\n"
        + json.dumps({"identifiers": [{"provider": "email", "id": "new@example.com"}]})
        + "\n"
    )
    done = run("import", "guests", file, "--json", "--data", server.data)
    blocked = {"reason": "the identifier is on the block list", "count": 1, "line": 1}
    assert json.loads(done.stdout) == {
        "records": 2,
        "created": 1,
        "failed": 1,
        "refused": [blocked],
    }
    order = body_of(
        api.post(
            "/v2.1/orders",
            json={
                "referenceId": "1",
                "orderedAt": "2024-01-01T00:00Z",
                "currencyCode": "EUR",
                "price": 1,
            },
        )
    )
    contact = api.post(f"/v2.1/orders/{order['ref']}/contacts", json={"identifiers": identifiers})
    assert contact.status_code == 403
    page = Page(api)
    assert page.send("IDENTITY", identifiers=identifiers).status_code == 403
    assert api.get("/v2.1/guests", params={"email": email}).json()["totalCount"] == 0
    totals = body_of(api.get("/innkeeper/v1/privacy/suppressions"))
    assert totals["refused"] >= 3
    dsn = json.loads((server.data / "server.json").read_text())["dsn"]
    with psycopg.connect(dsn) as connection:
        (rows,) = connection.execute(
            "SELECT string_agg(s::text, '') FROM ws_live.block_list s"
        ).fetchone() or ("",)
    assert "gone" not in rows
    released = command("privacy", "release", "--identifier", f"email:{email}", "--json")
    assert released == {"removed": 1}
    command("privacy", "release", "--email", email)
    again = run("import", "guests", file, "--json", "--restart", "--data", server.data)
    assert json.loads(again.stdout)["created"] == 1
