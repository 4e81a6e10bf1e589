"""The schedule of an export is chosen from menus, and shown in words."""

import re

import pytest
from calling import Api
from visiting import Person

EVERYBODY = {"filterGroups": [{"entity": "guest", "rules": []}]}


@pytest.mark.parametrize(
    ("days", "time", "cron", "line", "words"),
    [
        ("* * 1", "06:00", "", "0 6 * * 1", "Every Monday at 06:00 UTC"),
        ("1 * *", "23:45", "", "45 23 1 * *", "On the first of the month at 23:45 UTC"),
        ("cron", "06:00", "*/5 * * * *", "*/5 * * * *", "*/5 * * * *"),
        ("", "06:00", "", None, "On request"),
    ],
)
def test_a_schedule_by_menus(
    owner: Person, api: Api, days: str, time: str, cron: str, line: str | None, words: str
) -> None:
    name = "s" + re.sub(r"\W", "", days + time)
    api.post("/innkeeper/v1/segments", json={"name": name, "definition": EVERYBODY})
    fields = {"name": name, "segment": name, "kind": "FULL_SYNC", "format": "CSV"}
    response = owner.post(
        "/exports/new", **fields, columns="ref", schedule=days, time=time, cron=cron
    )
    assert response.status_code == 303, response.text
    stored = api.get(f"/innkeeper/v1/exports/{name}").json()
    assert stored.get("schedule") == line
    assert words in owner.get(f"/exports/{name}").text
    form = owner.get(f"/exports/{name}/edit").text
    assert f'value="{days}" selected' in form
    assert f'value="{time}"' in form
