"""Tables of guests as CSV: all of them, wherever they are downloaded."""

import re

import pytest
from calling import Api
from sites import Site
from typer.testing import CliRunner
from visiting import Person

from innkeeper.actions.audiences import guest_tables
from innkeeper.actions.console import search
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


def test_csv_of_a_search_has_every_hit(
    api: Api, owner: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By index and by the lake, and so has its sorted table; the number of hits of each type has a
    limit. Merged guests are their survivor, once; other types are left out."""
    monkeypatch.setattr(search, "MOST", 2)
    names = ("Una", "Ulf", "Uwe", "Udo")
    refs = {}
    for name in names:
        fields = {"guestType": "customer", "email": f"{name}@everyhit.example"}
        refs[name] = api.guest(firstName=name, lastName="Everyhit", **fields)["ref"]
    api.guest(guestType="visitor", firstName="Ugo", lastName="Everyhit")
    merge = {"survivor": refs["Una"], "absorbed": refs["Udo"]}
    assert api.post("/innkeeper/v1/merges", json=merge).status_code == 201
    query = "columns=firstName&sort=firstName&type=customer"
    for text in ("everyhit", "@everyhit.exam"):
        page = owner.get(f"/guests?q={text}&{query}").text
        assert re.findall(r">([A-Z]\w+) Everyhit</a>", page) == ["Ulf", "Una", "Uwe"], text
        lines = owner.get(f"/guests/csv?q={text}&{query}").text.splitlines()
        assert [line.split(",")[1] for line in lines] == ["firstName", "Ulf", "Una", "Uwe"], text
    params = {"q": "everyhit", "format": "csv", "columns": "firstName", "type": "customer"}
    lines = api.get("/innkeeper/v1/guests", params=params).text.splitlines()
    assert sorted(lines) == sorted(["ref,firstName", *(f"{refs[n]},{n}" for n in names[:3])])
    words = ["guests", "search", "everyhit", "--csv", "--database", site.dsn]
    assert len(CliRunner().invoke(app, words).stdout.splitlines()) == 1 + 4
    (line,) = owner.get(f"/guests/csv?q={refs['Ulf'][:8]}&{query}").text.splitlines()[1:]
    assert line == f"{refs['Ulf']},Ulf"
    assert len(owner.get(f"/guests/csv?q=nobody-at-all&{query}").text.splitlines()) == 1
