"""Exports leave out guests who are unsubscribed, by the field that the workspace declares."""

import csv
import gzip
import io
from typing import Any

import httpx
import pytest
from calling import Api
from sites import Site

CONSENT = "/innkeeper/v1/consent"
EVERYBODY = {"filterGroups": [{"entity": "guest", "rules": []}]}


@pytest.fixture
def people(api: Api) -> dict[str, str]:
    """Name -> ref of guests who said different things."""
    refs = {}
    for name, pairs in (
        ("yes", {"newsletter": True}),
        ("no", {"newsletter": False, "calls": "Never"}),
        ("word", {"newsletter": " NO "}),
        ("silent", {}),
        ("calls", {"calls": "never"}),
    ):
        guest = api.guest(firstName=name, lastName=f"Consent {name}", email=f"{name}@example.com")
        refs[name] = guest["ref"]
        if pairs:
            api.extension(guest, name="ext", **pairs)
    return refs


def exported(api: Api, site: Site, **settings: Any) -> tuple[set[str], dict[str, Any]]:
    """The first names in the file of an export with these settings, and its execution."""
    body = {"name": "Out", "segment": "all", "format": "CSV", **settings}
    export = api.post("/innkeeper/v1/exports", json=body).json()["ref"]
    execution = api.post(f"/innkeeper/v1/exports/{export}/run").json()["executionRef"]
    site.run_worker()
    files = api.get(f"/innkeeper/v1/exports/executions/{execution}/files").json()["exports"]
    text = gzip.decompress(httpx.get(files[0]["url"]).content).decode()
    run = api.get(f"/innkeeper/v1/exports/{export}/executions").json()["items"][0]
    api.delete(f"/innkeeper/v1/exports/{export}")
    return {row["firstName"] for row in csv.DictReader(io.StringIO(text))}, run


def test_the_unsubscribed_of_the_channels_are_left_out(
    api: Api, site: Site, people: dict[str, str]
) -> None:
    api.post("/innkeeper/v1/segments", json={"name": "All", "definition": EVERYBODY})
    mail = {"channel": "EMAIL", "field": "ext.newsletter", "values": ["no", "FALSE"]}
    phone = {"channel": "PHONE", "field": "ext.calls", "values": ["never"]}
    assert api.put(CONSENT, json={"items": [mail, phone]}).status_code == 200
    stored = [{**mail, "values": ["no", "false"]}, phone]
    assert api.get(CONSENT).json() == {"items": stored}

    names, run = exported(api, site, columns=["firstName", "email"])
    assert names == {"yes", "silent", "calls"}
    assert run["unsubscribed"] == 2
    assert run["leftOut"] == [{"channel": "EMAIL", "field": "ext.newsletter", "guests": 2}]
    assert (run["filterMatchedGuests"], run["filterNotMatchedGuests"]) == (3, 2)
    names, run = exported(api, site, columns=["firstName", "sha256.email", "sha256.phone"])
    assert (names, run["unsubscribed"]) == ({"yes", "silent"}, 3)
    assert [each["guests"] for each in run["leftOut"]] == [2, 2]
    for settings, expected in (
        ({"columns": ["firstName"]}, set(people)),
        ({"columns": ["firstName", "email"], "consent": "NONE"}, set(people)),
        ({"columns": ["firstName"], "consent": "PHONE"}, {"yes", "word", "silent"}),
    ):
        names, run = exported(api, site, **settings)
        assert names == expected, settings


def test_a_ref_is_a_text_field_too(api: Api, site: Site, people: dict[str, str]) -> None:
    api.post("/innkeeper/v1/segments", json={"name": "All", "definition": EVERYBODY})
    field = {"channel": "EMAIL", "field": "ref", "values": [people["yes"]]}
    assert api.put(CONSENT, json={"items": [field]}).status_code == 200
    names, _ = exported(api, site, columns=["firstName", "email"])
    assert names == {*people} - {"yes"}


def test_wrong_fields_and_an_older_version(api: Api) -> None:
    email = {"channel": "EMAIL", "field": "ext.newsletter"}
    fetched = api.get(CONSENT)
    assert fetched.json() == {"items": []}
    assert api.put(CONSENT, json={"items": [email]}).json()["items"][0]["values"][0] == "false"
    late = {"If-Match": fetched.headers["ETag"]}
    assert api.put(CONSENT, json={"items": []}, headers=late).status_code == 412
    for items, member in (
        ([email, email], "items[1].channel"),
        ([{**email, "field": "emails"}], "items[0].field"),
        ([{**email, "field": "ext."}], "items[0].field"),
        ([{**email, "values": [" "]}], "items[0].values"),
        ([{**email, "channel": "FAX"}], "items[0].channel"),
    ):
        refused = api.put(CONSENT, json={"items": items})
        assert refused.status_code == 400
        assert member in refused.text
    body = {"name": "x", "segment": "y", "consent": "FAX"}
    assert "consent" in api.post("/innkeeper/v1/exports", json=body).text
