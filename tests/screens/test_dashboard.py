"""A dashboard of pinned reports: each user's own, in an order of choice."""

import json
from datetime import timedelta

from calling import Api
from sites import Site
from typer.testing import CliRunner
from visiting import Person

from innkeeper import clock
from innkeeper.actions.audiences.dashboards import FIRST_REPORTS, MOST_REPORTS
from innkeeper.cli.app import app

FIRST = [each["report"] for each in FIRST_REPORTS]


def test_reports_are_pinned_moved_and_removed(api: Api, owner: Person, analyst: Person) -> None:
    path = f"/innkeeper/v1/dashboards/{owner.email}"
    api.put(path, json={"items": []})
    assert "Nothing is pinned yet" in owner.get("/dashboard").text
    today = clock.now().date()
    span = {"from": str(today - timedelta(days=29)), "to": str(today)}
    pinned = {"report": "revenue", "currency": "GBP", "interval": "week", **span}
    assert owner.post("/dashboard", action="pin", **pinned).status_code == 303
    fixed = {"report": "funnel", "from": "2026-01-01", "to": "2026-01-31", "steps": "VIEW,ADD"}
    assert owner.post("/dashboard", action="pin", **fixed).status_code == 303
    items = api.get(path).json()["items"]
    first = {"currency": "GBP", "interval": "week"}
    assert [(each["report"], each["days"], each["parameters"]) for each in items] == [
        ("revenue", 30, first),
        ("funnel", None, {name: value for name, value in fixed.items() if name != "report"}),
    ]
    page = owner.get("/dashboard").text
    assert f"/reports/revenue?currency=GBP&amp;interval=week&amp;from={span['from']}" in page
    assert "30 days, GBP, week" in page
    # Before the first change it has the usual reports.
    assert [f"/reports/{name}?" in analyst.get("/dashboard").text for name in FIRST] == [True] * 4
    owner.post("/dashboard", action="earlier", position="1")
    assert [each["report"] for each in api.get(path).json()["items"]] == ["funnel", "revenue"]
    owner.post("/dashboard", action="later", position="1")
    owner.post("/dashboard", action="remove", position="0")
    assert [each["report"] for each in api.get(path).json()["items"]] == ["revenue"]
    assert owner.post("/dashboard", action="remove", position="x").status_code == 400
    assert owner.post("/dashboard", action="pin", report="nothing").status_code == 400
    for first in ("yesterday", str(today + timedelta(days=1))):
        period = {"from": first, "to": str(today)}
        refused = owner.post("/dashboard", action="pin", report="revenue", **period)
        assert refused.status_code == 400, first
    ages = {"from": "1990-01-01", "to": str(today)}
    assert owner.post("/dashboard", action="pin", report="totals", **ages).status_code == 303
    items = api.get(path).json()["items"]
    assert (items[-1]["days"], items[-1]["parameters"]) == (None, ages)
    assert api.put(path, json={"items": items}).status_code == 200

    assert api.get("/innkeeper/v1/dashboards/nobody@example.com").status_code == 404
    report = {"report": "revenue"}
    assert api.put(path, json={"items": [report] * (MOST_REPORTS + 1)}).status_code == 400
    wrong = [{**report, "parameters": {"interval": "hour", "colour": "red"}}, {"report": "x"}]
    refused = api.put(path, json={"items": wrong}).text
    for member in ("items[0].parameters.interval", "items[0].parameters.colour", "items[1].report"):
        assert member in refused
    assert api.put(path, json={"items": [report] * MOST_REPORTS}).status_code == 200
    assert owner.post("/dashboard", action="pin", **pinned).status_code == 409


def test_commands_pin_move_and_remove(owner: Person, site: Site) -> None:
    def reports(*words: str) -> list[str]:
        more = ["--json", "--database", site.dsn]
        done = CliRunner().invoke(app, ["dashboards", *words, *more])
        assert done.exit_code == 0, done.output
        return [each["report"] for each in json.loads(done.stdout)]

    for _ in reports("list", owner.email):
        reports("remove", owner.email, "1")
    assert reports("pin", owner.email, "revenue", "--parameter", "currency=EUR") == ["revenue"]
    assert reports("pin", owner.email, "funnel") == ["revenue", "funnel"]
    assert reports("move", owner.email, "2", "1") == ["funnel", "revenue"]
    assert reports("remove", owner.email, "1") == ["revenue"]
    refused = ["dashboards", "pin", owner.email, "revenue", "--parameter", "EUR"]
    assert CliRunner().invoke(app, [*refused, "--database", site.dsn]).exit_code == 1
