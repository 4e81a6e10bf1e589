"""Tables of guests as CSV: all of them, wherever they are downloaded."""

import pytest
from calling import Api
from sites import Site
from typer.testing import CliRunner
from visiting import Person

from innkeeper.actions.audiences import guest_tables
from innkeeper.cli.app import app


def test_csv_has_every_guest_over_http_on_its_page_and_by_command(
    api: Api, owner: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages have a limit of rows; CSV, which the engine writes, has none."""
    monkeypatch.setattr(guest_tables, "MOST_ROWS", 2)
    emails = ["a@csv.example", "b@csv.example"]
    for name in ("=Ida", "Jo", "Kim"):
        api.guest(firstName=name, city="Csv", emails=emails if name == "=Ida" else None)
    rules = [{"field": "city", "comparator": "is equal to", "values": ["Csv"]}]
    definition = {"filterGroups": [{"entity": "guest", "rules": rules}]}
    body = {"name": "Csv", "friendlyId": "csv", "definition": definition}
    segment = api.post("/innkeeper/v1/segments", json=body)
    assert segment.status_code == 201, segment.text
    query = {"columns": "firstName,emails", "sort": "firstName"}
    path = "/innkeeper/v1/segments/csv/table"
    assert len(api.get(path, params={**query, "limit": 3}).json()["rows"]) == 2
    words = ["segments", "guests", "csv", "--columns", "firstName,emails", "--sort", "firstName"]
    texts = [
        api.get(path, params={**query, "format": "csv"}).text,
        owner.get("/segments/csv/guests/csv?columns=firstName&columns=emails&sort=firstName").text,
        CliRunner().invoke(app, [*words, "--csv", "--database", site.dsn]).stdout,
    ]
    rows = ["firstName,emails", f"'=Ida,{'; '.join(emails)}", "Jo,", "Kim,"]
    for text in texts:
        assert [line.split(",", 1)[1] for line in text.splitlines()] == rows
    named = {"columns": "firstName,=A1.b", "format": "csv", "limit": 10**30, "offset": 2**63 - 1}
    answer = api.get(path, params=named)
    assert (answer.status_code, answer.text) == (200, "ref,firstName,'=A1.b\n")
    for sort in ({}, {"sort": "firstName"}, {"sort": "-lastSeen"}, {"sort": "city"}):
        beyond = api.get(path, params={"offset": 2**63 - 1, **sort})
        assert beyond.status_code == 200, beyond.text
        assert beyond.json()["rows"] == []
