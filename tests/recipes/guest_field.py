"""Walk every place that shows a field of guests; run by test_recipes.py, where `loyalty_tier` is
declared as personal, searchable and identifying."""

import asyncio
import gzip
import sys
from pathlib import Path
from typing import Any

from batching import Batches, as_json
from calling import Api, made, served
from sites import Site
from streams import Page
from visiting import log_in

from innkeeper.settings import Settings
from innkeeper.store.migrate import migrate
from innkeeper.web.app import create_app
from innkeeper.wire.bulk.suggestion import suggested_parts

ORDER = {
    "referenceId": "R-1",
    "orderedAt": "2026-11-20T10:00:00Z",
    "currencyCode": "EUR",
    "price": 10,
}


def rest(api: Api) -> dict[str, Any]:
    """Create a guest with the field; read it in two dialects, and be refused over its limit."""
    guest = api.guest(lastName="Murphy", loyaltyTier="Gold Star")
    assert guest["loyaltyTier"] == "Gold Star"
    assert made(api.get(f"/v2/guests/{guest['ref']}"))["loyaltyTier"] == "Gold Star"
    refused = api.patch(guest["href"], json={"loyaltyTier": "x" * 33})
    assert refused.json()["errors"] == ["loyaltyTier: size must be between 0 and 32"]
    return guest


def openapi(api: Api) -> None:
    schemas = made(api.get("/openapi.json"))["components"]["schemas"]
    for name in ("Guest", "V2Guest", "GuestCreate", "OrderContact", "OrderConsumer"):
        assert "loyaltyTier" in schemas[name]["properties"]


def stream(api: Api) -> None:
    """An IDENTITY event carries the field, however it is spelled."""
    page = Page(api)
    page("IDENTITY", identifiers=[{"provider": "CRM", "id": "7"}], Loyalty_Tier="silver")
    assert made(api.get(f"/v2.1/guests/{page.guest}"))["loyaltyTier"] == "silver"


def identity(api: Api, guest: dict[str, Any]) -> None:
    """An identity rule names the field, and a contact matches by it."""
    rule = {"identityRule": "tier", "providers": [], "fields": ["lastName", "loyaltyTier"]}
    made(api.post("/v2/tenants/identity-rules", json=rule))
    api.patch(guest["href"], json={"city": "Cork"})
    order = made(api.post("/v2.1/orders", json=ORDER))
    person = {"firstName": "Ann", "lastName": "Murphy", "loyaltyTier": "GOLD star"}
    contact = made(api.post(f"/v2.1/orders/{order['ref']}/contacts", json=person))
    assert contact["guest"]["href"] == guest["href"]


def screens(site: Site, guest: dict[str, Any]) -> None:
    """The search, the overview and the form show the field; masked for a role without the right."""
    owner = log_in(site)
    for text in ("gold", "gold murphy", "golt"):
        assert guest["ref"] in owner.get(f"/guests?q={text}&type=all").text, text
    overview = owner.get(f"/guests/{guest['ref']}").text
    assert "Loyalty Tier" in overview
    assert "Gold Star" in overview
    assert 'name="loyalty_tier"' in owner.get(f"/guests/{guest['ref']}/edit").text
    assert "loyaltyTier" in owner.get("/settings/identity-rules").text
    reader = log_in(site, "read-only")
    masked = reader.get(f"/guests/{guest['ref']}").text
    assert "Gold Star" not in masked
    assert "G•••" in masked


def segments(api: Api, guest: dict[str, Any]) -> None:
    """A segment names the field, and SQL the column of the lake."""
    rule = {"field": "loyaltyTier", "comparator": "is equal to", "values": ["Gold Star"]}
    sql = "SELECT guest_ref FROM guests WHERE core_loyalty_tier = 'Gold Star'"
    for name, definition in (
        ("By rule", {"filterGroups": [{"entity": "guest", "rules": [rule]}]}),
        ("By SQL", {"sql": sql}),
    ):
        body = {"name": name, "definition": definition}
        segment = made(api.post("/innkeeper/v1/segments", json=body))
        members = made(api.get(f"/innkeeper/v1/segments/{segment['ref']}/guests"))
        assert members["items"] == [guest["ref"]]


def files(api: Api, settings: Settings, guest: dict[str, Any]) -> None:
    """Exports have the field, imports a target of its name, which is suggested."""
    batches = Batches(api, settings)
    export = made(api.post("/innkeeper/v1/fileExports", json={"entity": "guests", "format": "csv"}))
    batches.work()
    href = made(api.get(export["href"]))["location"]["href"]
    header, *rows = gzip.decompress(api.get(href, auth=None).content).decode().splitlines()
    column = header.split(",").index("loyaltyTier")
    assert "Gold Star" in {row.split(",")[column] for row in rows}
    suggestion = suggested_parts("guests", ["Loyalty tier"], [{"Loyalty tier": "gold"}])
    assert suggestion["columns"] == {"Loyalty tier": "loyaltyTier"}


def batch(api: Api, settings: Settings) -> None:
    """A record of a batch has the field."""
    value = {"guestType": "customer", "email": "b@example.com", "loyaltyTier": "bronze"}
    value["identifiers"] = [{"provider": "email", "id": "b@example.com"}]
    line = {"ref": "1", "schema": "guest", "mode": "upsert", "value": value}
    Batches(api, settings).sent(gzip.compress(as_json(line)))
    listed = made(api.get("/v2.1/guests?email=b@example.com&expand=true"))
    assert [each["loyaltyTier"] for each in listed["items"]] == ["bronze"]


def subject_access(api: Api, guest: dict[str, Any]) -> None:
    subject = api.get(f"/innkeeper/v1/privacy/subjects/{guest['ref']}")
    assert "Gold Star" in subject.text


def main(dsn: str, data: str) -> None:
    """Run every step on a database that an Innkeeper without the field has made."""
    asyncio.run(migrate(dsn))
    settings = Settings(database=dsn, data=Path(data), log_level="error", pool_size=4)
    with served(create_app(settings)) as url:
        site = Site(url, dsn, settings)
        with site.api() as api:
            guest = rest(api)
            openapi(api)
            stream(api)
            identity(api, guest)
            screens(site, guest)
            segments(api, guest)
            files(api, settings, guest)
            batch(api, settings)
            subject_access(api, guest)


if __name__ == "__main__":
    main(*sys.argv[1:])
