"""Saved views of the list of guests over HTTP."""

from typing import Any
from uuid import uuid4

import pytest
from calling import Api
from test_key_scopes import keyed
from test_segments_api import guests_where, rule
from typer.testing import CliRunner

from innkeeper.actions.audiences import guest_views
from innkeeper.cli.app import app
from innkeeper.rules.scopes import EVERY_SCOPE, Scope

OWN = "/innkeeper/v1/guestViews"


def test_a_view_is_seen_by_its_owner_until_it_is_shared(
    api: Api, site: Any, connection: Any
) -> None:
    definition = guests_where(rule("city", "is equal to", "Cork"))
    name = f"Cork {uuid4().hex}"
    body = {"name": name, "definition": definition, "columns": ["city"], "sort": "-lastSeen"}
    answer = api.post(OWN, json=body)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert view["page"] == f"{api.url}/w/live/guests?view={view['ref']}"
    assert {name: view[name] for name in body} == body
    path = f"{OWN}/{view['ref']}"
    with keyed(site, *EVERY_SCOPE) as other:
        assert other.get(OWN).json()["items"] == []
        assert other.get(path).status_code == 404
        assert other.delete(path).status_code == 404
        # Who runs commands sees private views as well.
        listed = CliRunner().invoke(app, ["guest-views", "list", "--database", site.dsn])
        assert view["ref"] in listed.stdout
        assert api.patch(path, json={"shared": True, "sort": None}).json()["shared"] is True
        assert [each["ref"] for each in other.get(OWN).json()["items"]] == [view["ref"]]
        assert other.patch(path, json={"name": ""}).status_code == 400
    with keyed(site, *(EVERY_SCOPE - {Scope.ADMINISTRATION})) as other:
        assert other.get(path).status_code == 200
        assert other.patch(path, json={"name": "Mine"}).status_code == 403
        assert other.delete(path).status_code == 403
    assert "sort" not in api.get(path).json()
    guest = api.guest(city="Cork", firstName="Viewed")
    assert {"ref": guest["ref"], "city": "Cork"} in api.get(f"{path}/table").json()["rows"]
    everyone = api.get(f"{path}/table", params={"format": "csv"}).text
    assert everyone.startswith("ref,city")
    assert f"{guest['ref']},Cork" in everyone
    for words in (["list"], ["guests", name], ["guests", name, "--csv"]):
        done = CliRunner().invoke(app, ["guest-views", *words, "--database", site.dsn])
        assert (guest["ref"] if words[0] == "guests" else view["ref"]) in done.stdout, done.output
    wrong = api.patch(path, json={"sort": "nope", "columns": ["trait.nope"]})
    assert wrong.json()["errors"] == [
        "columns[0]: there is no column trait.nope",
        "sort: there is no column nope",
    ]
    assert api.delete(path).status_code == 204
    rows = connection.execute(
        "SELECT action FROM innkeeper.audit_log WHERE subject = %s ORDER BY sequence", [name]
    ).fetchall()
    assert [action for (action,) in rows] == [
        f"guest_view.{verb}" for verb in ("create", "change", "delete")
    ]


def test_views_are_limited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    most = len(api.get(OWN).json()["items"]) + 1
    monkeypatch.setattr(guest_views, "MOST", most)
    body = {"name": "All", "definition": guests_where()}
    response = api.post(OWN, json=body)
    assert response.status_code == 201, response.text
    refused = api.post(OWN, json=body)
    assert (refused.status_code, f"There are {most} views" in refused.text) == (409, True)
    assert api.delete(f"{OWN}/{response.json()['ref']}").status_code == 204
