"""F20: the screens ask before they delete what others use, and show exports without source."""

import html
import re

import psycopg
import pytest
from calling import Api
from visiting import Person, field

EVERYBODY = {
    "filterGroups": [{"entity": "guest", "rules": [{"field": "ref", "comparator": "is not null"}]}]
}


@pytest.fixture
def export(api: Api) -> str:
    """An export of a segment that has a webhook as well."""
    segment = {"name": "Crew", "definition": EVERYBODY, "webhook": "https://example.com/hook"}
    assert api.post("/innkeeper/v1/segments", json=segment).status_code == 201
    body = {"name": "Letters", "segment": "crew", "schedule": "DAILY"}
    assert api.post("/innkeeper/v1/exports", json=body).status_code == 201
    return "letters"


def dialog(page: str, name: str) -> str:
    match = re.search(rf'<dialog id="{name}".*?</dialog>', page, re.DOTALL)
    assert match is not None, page
    return html.unescape(match[0])


def test_f20_deleting_a_segment_needs_confirmation_and_its_exports_stay(
    owner: Person, api: Api, export: str
) -> None:
    segment = dialog(owner.get("/segments/crew").text, "delete")
    assert '<a href="/w/live/exports/letters">Letters</a>' in segment
    assert "https://example.com/hook" in segment
    assert "Delete anyway" in segment
    # Who has not seen that list is asked, whatever is sent instead.
    for uses in ("", "0" * 32):
        answer = owner.post("/segments/crew", action="delete", confirm="crew", uses=uses)
        assert answer.status_code == 409
        assert "Audience export letters reads it." in answer.text
        assert api.get("/innkeeper/v1/segments/crew").status_code == 200
    log = owner.get("/settings/audit-log?action=segment.delete").text
    assert "friendly_id=crew" not in log, "what was refused did not happen"
    observed = field(segment, "uses")
    # One more export since: asked again.
    body = {"name": "Calls", "segment": "crew"}
    assert api.post("/innkeeper/v1/exports", json=body).status_code == 201
    assert owner.post("/segments/crew", action="delete", uses=observed).status_code == 409
    observed = field(dialog(owner.get("/segments/crew").text, "delete"), "uses")
    assert owner.post("/segments/crew", action="delete", uses=observed).status_code == 303
    assert api.get("/innkeeper/v1/segments/crew").status_code == 404
    assert "segment" not in api.get("/innkeeper/v1/exports/letters").json()


def test_f20_an_export_without_source_is_opened_pointed_elsewhere_and_deleted(
    owner: Person, api: Api, export: str, connection: psycopg.Connection
) -> None:
    connection.execute("DELETE FROM ws_live.segments")
    assert "deleted" in owner.get("/exports").text
    page = owner.get("/exports/letters")
    assert page.status_code == 200
    assert "The segment of this export was deleted." in page.text
    assert "Run now" not in page.text
    assert owner.post("/exports/letters", action="run").status_code == 409
    api.post("/innkeeper/v1/segments", json={"name": "Other crew", "definition": EVERYBODY})
    form = owner.get("/exports/letters/edit").text
    assert "Choose one: it was deleted" in form
    payload = {"name": "Letters", "kind": "FULL_SYNC", "format": "CSV", "columns": "ref"}
    payload |= {"schedule": "* * *", "time": "00:30", "version": field(form, "version")}
    unchanged = owner.post("/exports/letters/edit", segment="", **payload)
    assert unchanged.status_code == 303, unchanged.text
    payload["version"] = field(owner.get("/exports/letters/edit").text, "version")
    pointed = owner.post("/exports/letters/edit", segment="other_crew", **payload)
    assert pointed.status_code == 303, pointed.text
    assert "nextAt" in api.get("/innkeeper/v1/exports/letters").json()
    connection.execute("DELETE FROM ws_live.segments")
    assert owner.post("/exports/letters", action="delete").status_code == 303
    assert api.get("/innkeeper/v1/exports/letters").status_code == 404


def test_f20_a_trait_that_is_used_is_not_deleted(owner: Person, api: Api) -> None:
    trait = {"entity": "order", "function": "count"}
    assert api.put("/innkeeper/v1/traits/bought", json=trait).status_code == 200
    asks = {"field": "bought", "location": "trait", "comparator": "is not null"}
    body = {
        "name": "Buyers",
        "definition": {"filterGroups": [{"entity": "guest", "rules": [asks]}]},
    }
    assert api.post("/innkeeper/v1/segments", json=body).status_code == 201
    assert "Buyers" in dialog(owner.get("/traits/of/bought").text, "delete")
    answer = owner.post("/traits/of/bought", action="delete")
    assert answer.status_code == 409
    assert "Segment buyers uses trait bought." in answer.text


def test_f20_deleting_a_point_of_sale_needs_confirmation(
    owner: Person, api: Api, connection: psycopg.Connection
) -> None:
    point = {"name": "used.example", "timeout": 20}
    assert api.post("/v2/tenants/points-of-sale", json=point).status_code == 201
    key = {"client_key": api.client_key}
    browser = api.get("/v1.2/browser/create.json", params=key).json()["ref"]
    view = {**key, "browser_id": browser, "channel": "WEB", "type": "VIEW", "page": "/"}
    for _ in range(3):
        assert api.post("/v1.2/events", json={**view, "pos": "used.example"}).is_success
    sold = {"field": "pointOfSale", "comparator": "is equal to", "values": ["used.example"]}
    definition = {"filterGroups": [{"entity": "order", "rules": [sold]}]}
    api.post("/innkeeper/v1/segments", json={"name": "Sold there", "definition": definition})
    connection.execute("INSERT INTO ws_live.site_aliases VALUES ('old.example', 'used.example')")
    page = owner.get("/settings/points-of-sale").text
    name = re.findall(r'data-opens="(pos-\d+)">Delete', page.split("used.example")[1])[0]
    form = dialog(page, name)
    for each in ("Sold there", "old.example", "3 of the last 3 events"):
        assert each in form
    body = {"action": "delete", "name": "used.example"}
    answer = owner.post("/settings/points-of-sale", **body)
    assert answer.status_code == 409
    assert "Segment sold_there compares its name." in answer.text
    # More events of it are no news.
    assert api.post("/v1.2/events", json={**view, "pos": "used.example"}).is_success
    observed = field(form, "uses")
    assert owner.post("/settings/points-of-sale", **body, uses=observed).status_code == 303
