"""Walk every place that shows a field of guests and a part of orders.

Run by test_recipes.py, which declares the field `loyalty_tier` as personal, searchable and
identifying, the part `OrderNote` with a personal `text` and an `author`, and the endpoint
`renameSegment`.
"""

import asyncio
import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import psycopg
from batching import Batches, as_json, record, upsert
from calling import NOBODY, Api, body_of
from sites import Site, run_site
from streams import Page
from visiting import Person, log_in

from innkeeper.actions.admin import keys
from innkeeper.lake.flush import flush
from innkeeper.rules.scopes import Scope
from innkeeper.settings import Settings
from innkeeper.store.migrate import migrate
from innkeeper.wire.bulk.suggestion import suggest

SEGMENTS = "/innkeeper/v1/segments"
TEXT = "Leave it with the neighbour"
ORDER = {
    "referenceId": "R-1",
    "orderedAt": "2026-11-20T10:00:00Z",
    "currencyCode": "EUR",
    "price": 10,
    "channel": "WEB",
    "pointOfSale": "default",
}


def rest(api: Api) -> dict[str, Any]:
    """Create a guest with the field; read it in two dialects, and be refused over its limit."""
    guest = api.guest(lastName="Murphy", loyaltyTier="Gold Star")
    assert guest["loyaltyTier"] == "Gold Star"
    assert body_of(api.get(f"/v2/guests/{guest['ref']}"))["loyaltyTier"] == "Gold Star"
    refused = api.patch(guest["href"], json={"loyaltyTier": "x" * 33})
    assert refused.json()["errors"] == ["loyaltyTier: size must be between 0 and 32"]
    return guest


def openapi(api: Api) -> None:
    schemas = body_of(api.get("/openapi.json"))["components"]["schemas"]
    for name in ("Guest", "V2Guest", "GuestCreate", "OrderContact", "OrderConsumer"):
        assert "loyaltyTier" in schemas[name]["properties"]


def stream(api: Api) -> None:
    """An IDENTITY event carries the field, however it is spelled."""
    page = Page(api)
    page("IDENTITY", identifiers=[{"provider": "CRM", "id": "7"}], Loyalty_Tier="silver")
    assert body_of(api.get(f"/v2.1/guests/{page.guest}"))["loyaltyTier"] == "silver"


def identity(api: Api, guest: dict[str, Any]) -> dict[str, Any]:
    """An identity rule names the field, and a contact matches by it; the order."""
    rule = {"identityRule": "tier", "providers": [], "fields": ["lastName", "loyaltyTier"]}
    body_of(api.post("/v2/tenants/identity-rules", json=rule))
    api.patch(guest["href"], json={"city": "Cork"})
    order = body_of(api.post("/v2.1/orders", json=ORDER))
    person = {"firstName": "Ann", "lastName": "Murphy", "loyaltyTier": "GOLD star"}
    contact = body_of(api.post(f"/v2.1/orders/{order['ref']}/contacts", json=person))
    assert contact["guest"]["href"] == guest["href"]
    return order


def guest_pages(owner: Person, reader: Person, guest: dict[str, Any]) -> None:
    """The search, the overview and the form show the field; masked for a role without the right."""
    for text in ("gold", "gold murphy", "golt"):
        assert guest["ref"] in owner.get(f"/guests?q={text}&type=all").text, text
    overview = owner.get(f"/guests/{guest['ref']}").text
    assert "Loyalty tier" in overview
    assert "Gold Star" in overview
    assert 'name="loyalty_tier"' in owner.get(f"/guests/{guest['ref']}/edit").text
    assert "loyaltyTier" in owner.get("/settings/identity-rules").text
    masked = reader.get(f"/guests/{guest['ref']}").text
    assert "Gold Star" not in masked
    assert "G•••" in masked


def segment(api: Api, guest: dict[str, Any]) -> None:
    """A rule of a segment names the field."""
    rule = {"field": "loyaltyTier", "comparator": "is equal to", "values": ["Gold Star"]}
    definition = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
    assert members(api, "By rule", definition) == [guest["ref"]]


def endpoint(api: Api) -> None:
    """The endpoint of the recipe decodes, names every problem, encodes and is described."""
    operation = body_of(api.get("/openapi.json"))["paths"][f"{SEGMENTS}/{{segmentRef}}/rename"][
        "post"
    ]
    assert operation["operationId"] == "renameSegment"
    ref = body_of(api.get(SEGMENTS))["items"][0]["ref"]
    body = {"name": "Q?", "isFinal": True, "nam": 1}
    refused = api.post(f"{SEGMENTS}/{ref}/rename", json=body)
    assert refused.json()["errors"] == [
        "nam: is not a known member; did you mean name?",
        "name: must not end in ? if it is final",
    ]
    renamed = body_of(api.post(f"{SEGMENTS}/{ref}/rename", json={"name": "Renamed"}))
    assert renamed.keys() == {"href", "name", "modifiedAt"}
    assert renamed["name"] == body_of(api.get(f"{SEGMENTS}/{ref}"))["name"] == "Renamed"


def lake(api: Api, batches: Batches, guest: dict[str, Any]) -> None:
    """A change of a note alone reaches the lake's table of notes. The long profile reads it and the
    field in SQL, in a process of its own."""
    batches._act(flush)
    with psycopg.connect(batches._settings.database) as connection:
        files_of_notes = connection.execute(
            "SELECT name, rows FROM ws_live.lake_files WHERE name = 'order_notes'"
        ).fetchall()
    assert files_of_notes == [("order_notes", 1)]
    if os.environ.get("INNKEEPER_LONG") == "1":
        sql = (
            "SELECT g.guest_ref FROM guests AS g "
            "JOIN order_notes AS n ON n.guest_ref = g.guest_ref "
            "WHERE core_loyalty_tier = 'Gold Star' "
            f"AND core_text = '{TEXT}' AND core_author = 'Ann'"
        )
        assert members(api, "By SQL", {"sql": sql}) == [guest["ref"]]


def members(api: Api, name: str, definition: dict[str, Any]) -> list[str]:
    """Return the refs of the guests of a new segment."""
    made_segment = body_of(api.post(SEGMENTS, json={"name": name, "definition": definition}))
    refs: list[str] = body_of(api.get(f"{SEGMENTS}/{made_segment['ref']}/guests"))["items"]
    return refs


def files(api: Api, batches: Batches, note: dict[str, Any]) -> None:
    """Exports have the field and the note; imports and batches read the field, whose name is
    suggested for a column."""
    exports = [
        body_of(api.post("/innkeeper/v1/fileExports", json={"entity": entity, "format": form}))
        for entity, form in (("guests", "csv"), ("orders", "ndjson"))
    ]
    batches.work()
    links = [body_of(api.get(export["href"]))["location"]["href"] for export in exports]
    (header, *rows), (order,) = (
        gzip.decompress(api.get(link, auth=None).content).decode().splitlines() for link in links
    )
    column = header.split(",").index("loyaltyTier")
    assert "Gold Star" in {row.split(",")[column] for row in rows}
    (document,) = json.loads(order)["notes"]
    assert (document["text"], document["author"], document["ref"]) == (TEXT, "Ann", note["ref"])
    suggestion = suggest("guests", ["Loyalty tier"], [{"Loyalty tier": "gold"}])
    assert suggestion.columns == {"Loyalty tier": ["loyaltyTier"]}
    assert batches.apply(upsert("b@example.com", loyaltyTier="bronze")) == []
    assert batches.guest("b@example.com")["loyaltyTier"] == "bronze"
    value = json.loads(order)
    more = {**value, "notes": [*value["notes"], {"text": "Rang twice"}, {"author": "Ann"}]}
    assert batches.apply(record("order", "upsert", more))[0]["errors"] == [
        "notes[2].text: may not be null."
    ]
    more["notes"].pop()
    content = as_json(value) + b"\n" + as_json(more) + b"\n"
    for is_dry_run in (True, False):
        body = {"entity": "orders", "compressed": False, "dryRun": is_dry_run}
        upload = body_of(api.post("/innkeeper/v1/imports", json=body))
        assert batches.upload(upload["location"]["href"], content).status_code == 200
        batches.work_at_once()
        outcomes = body_of(api.get(upload["href"]))["outcomes"]
        assert outcomes == {"unchanged": 1, "updated": 1}, (is_dry_run, outcomes)
    listed = body_of(api.get(f"/v2.1/orders/{value['ref']}/notes?expand=true"))
    assert [each["text"] for each in listed["items"]] == [TEXT, "Rang twice"]


def notes(api: Api, order: dict[str, Any]) -> dict[str, Any]:
    """Create, list, fetch, replace, patch and delete a note in the official dialect; the limits of
    its declaration hold, and its order shows it."""
    path = f"/v2.1/orders/{order['ref']}/notes"
    refused = api.post(path, json={"text": "x" * 2001, "author": 5})
    assert refused.json()["errors"] == [
        "text: size must be between 0 and 2000",
        "author: must be a string",
    ]
    assert api.post(path, json={"author": "Ann"}).json()["errors"] == ["text: may not be null."]
    assert api.get(f"/v2.1/orderNotes/{NOBODY}").status_code == 404
    assert api.get(f"/v2.1/orders/{NOBODY}/notes").status_code == 404
    assert api.post(f"/v2.1/orders/{NOBODY}/notes", json={"text": "x"}).status_code == 404
    other = body_of(api.post(path, json={"text": "Other", "author": "Bob"}))
    note = body_of(api.post(path, json={"text": "Draft", "author": "Ann"}))
    assert note["href"] == f"{api.url}/v2.1/orderNotes/{note['ref']}"
    assert note["order"] == {"href": f"{api.url}/v2.1/orders/{order['ref']}"}
    replaced = body_of(api.put(note["href"], json={"text": TEXT}))
    assert (replaced["text"], replaced.get("author")) == (TEXT, None)
    note = body_of(api.patch(note["href"], json={"author": "Ann"}))
    assert body_of(api.get(note["href"])) == note
    listed = body_of(api.get(path, params={"expand": "true"}))
    assert [each["text"] for each in listed["items"]] == ["Other", TEXT]
    assert api.delete(other["href"]).status_code == 204
    assert api.get(other["href"]).status_code == 404
    whole = body_of(api.get(f"/v2.1/orders/{order['ref']}", params={"expand": "notes"}))
    assert whole["notes"]["items"] == [note]
    return note


def legacy_notes(api: Api, order: dict[str, Any], note: dict[str, Any]) -> None:
    """The same in v2, where an update is a POST."""
    path = f"/v2/orders/{order['ref']}/notes"
    assert [each["href"] for each in body_of(api.get(path))["items"]] == [
        f"{api.url}/v2/orderNotes/{note['ref']}"
    ]
    old = body_of(api.post(path, json={"text": "Old"}))
    assert body_of(api.post(old["href"], json={"text": "New"}))["text"] == "New"
    assert body_of(api.get(old["href"]))["text"] == "New"
    assert api.delete(old["href"]).status_code == 204


def rights(site: Site, note: dict[str, Any]) -> None:
    """A key without the scope for personal data does not see the text."""
    key = site.control(lambda work: keys.create(work, "live", scopes=frozenset({Scope.READ})))
    with Api(site.url, key.client_key, key.api_token) as reader:
        response = body_of(reader.get(note["href"]))
    assert (response.get("text"), response["author"]) == (None, "Ann")


def order_page(owner: Person, reader: Person, order: dict[str, Any]) -> None:
    """The order's page and file have the note; masked for a role without the right."""
    page = f"/orders/{order['ref']}"
    assert TEXT in owner.get(page).text
    (response,) = owner.get(f"{page}/file").json()["notes"]
    assert (response["text"], response["author"]) == (TEXT, "Ann")
    masked = reader.get(page).text
    assert TEXT not in masked
    assert "L•••" in masked


def erasure(api: Api, guest: dict[str, Any], note: dict[str, Any]) -> None:
    """Subject access shows both; an erasure deletes it and counts it in the receipt."""
    subject = body_of(api.get(f"/innkeeper/v1/privacy/subjects/{guest['ref']}"))
    assert subject["held"]["guests"][0]["body"]["loyaltyTier"] == "Gold Star"
    locked, _ = subject["held"]["orderNotes"]
    assert locked["body"] == {"text": TEXT, "author": "Ann"}
    receipt = body_of(api.post("/innkeeper/v1/privacy/erasures", json={"guestRef": guest["ref"]}))
    assert receipt["removed"]["orderNotes"] == 2
    assert api.get(note["href"]).status_code == 404


def import_undo(api: Api, batches: Batches) -> None:
    """A later note on an order that an imported event created blocks the undo of the import."""
    line = {"type": "OTHER", "name": "Thing", "productId": "P", "price": 5, "currencyCode": "EUR"}
    bought = {**ORDER, "referenceId": "R-9", "status": "PURCHASED", "paymentType": "Cash"}
    event = {
        **{"type": "ORDER_CHECKOUT", "channel": "WEB", "pos": "default"},
        **{"identifiers": {"provider": "email", "id": "late@example.com"}},
        **{"requested_at": "2026-11-20T10:00:00Z", "order": {**bought, "orderItems": [line]}},
    }
    body = {"entity": "events", "compressed": False}
    upload = body_of(api.post("/innkeeper/v1/imports", json=body))
    assert batches.upload(upload["location"]["href"], as_json(event) + b"\n").status_code == 200
    batches.work_at_once()
    assert body_of(api.get(f"{upload['href']}/undo"))["blocked"] == {}
    identifier = {"identifiers.provider": "email", "identifiers.id": "late@example.com"}
    (guest,) = body_of(api.get("/v2.1/guests", params=identifier))["items"]
    (order,) = body_of(api.get("/v2.1/orders", params={"guestRef": guest["ref"]}))["items"]
    body_of(api.post(f"{order['href']}/notes", json={"text": "Late"}))
    assert body_of(api.get(f"{upload['href']}/undo"))["blocked"] == {"used later": 1}


def main(dsn: str, data: str) -> None:
    """Run every step on a database that an Innkeeper without the field has made."""
    asyncio.run(migrate(dsn))
    settings = Settings(database=dsn, data=Path(data), log_level="error", pool_size=4)
    with run_site(settings) as site:
        owner, reader = log_in(site), log_in(site, "read-only")
        with site.api() as api:
            batches = Batches(api, settings)
            guest = rest(api)
            openapi(api)
            stream(api)
            order = identity(api, guest)
            guest_pages(owner, reader, guest)
            # From here on the lake has only what changes again.
            batches._act(flush)
            note = notes(api, order)
            legacy_notes(api, order, note)
            rights(site, note)
            order_page(owner, reader, order)
            segment(api, guest)
            endpoint(api)
            lake(api, batches, guest)
            files(api, batches, note)
            erasure(api, guest, note)
            import_undo(api, batches)


if __name__ == "__main__":
    main(*sys.argv[1:])
