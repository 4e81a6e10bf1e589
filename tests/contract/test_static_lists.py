"""Static lists: named lists of guests, as conditions and sources, through merges and erasures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from calling import Api
from test_segments_api import create_segment, guests_where, jobs, members, person, rule
from typer.testing import CliRunner

from innkeeper.actions.audiences import bulk_actions, selections
from innkeeper.actions.privacy import privacy
from innkeeper.cli.app import app
from innkeeper.resources.static_lists import ADD
from innkeeper.store.work import Work

__all__ = ["jobs"]
OWN = "/innkeeper/v1/staticLists"
BULK = "/innkeeper/v1/bulkActions"


def new_list(api: Api, name: str = "VIPs") -> dict[str, Any]:
    answer = api.post(OWN, json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


def change(
    api: Api, static_list: dict[str, Any], word: str = "", **selection: Any
) -> dict[str, Any]:
    path = f"{OWN}/{static_list['friendlyId']}/guests{word}"
    answer = api.post(path, json={"selection": selection})
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "SUCCESS"
    return answer.json()


def on_list(api: Api, static_list: dict[str, Any]) -> set[str]:
    answer = api.get(f"{OWN}/{static_list['ref']}/guests")
    assert answer.status_code == 200, answer.text
    size = api.get(f"{OWN}/{static_list['ref']}").json()["size"]
    assert size == answer.json()["totalCount"] == len(answer.json()["items"])
    return set(answer.json()["items"])


def refs(guests: Iterable[dict[str, Any]]) -> set[str]:
    return {guest["ref"] for guest in guests}


def test_a_list_is_filled_from_every_source(api: Api) -> None:
    ann, bob, cal, dan = (person(api, city=city) for city in ("Cork", "Cork", "Bray", "Bray"))
    mail = dan["identifiers"][0]["id"]
    vips, other = new_list(api), new_list(api, "Other")
    assert on_list(api, vips) == set()
    assert change(api, vips, guests=[ann["ref"]])["changed"] == 1
    assert change(api, vips, guests=[ann["ref"], bob["ref"]])["changed"] == 1
    cork = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    change(api, other, segment=cork["friendlyId"])
    assert on_list(api, other) == refs([ann, bob])
    change(api, other, definition=guests_where(rule("city", "is equal to", "Bray")))
    change(api, other, "/remove", staticList=vips["ref"])
    assert on_list(api, other) == refs([cal, dan])
    selection = {"identifiers": [mail.upper(), f"email:{mail}", cal["ref"], "nobody@x.example"]}
    preview = api.post(f"{BULK}/preview", json={"selection": selection}).json()
    assert (preview["total"], preview["unmatched"]) == (2, ["nobody@x.example"])
    change(api, vips, **selection)
    assert on_list(api, vips) == refs([ann, bob, cal, dan])
    path = f"{OWN}/{vips['ref']}/guests"
    for bad in ({}, {"guests": [], "segment": "some_guests"}):
        assert api.post(path, json={"selection": bad}).status_code == 400
    none = {"definition": guests_where(rule("nope", "is equal to", "Cork"))}
    answer = api.post(path, json={"selection": none})
    assert answer.json()["errors"] == [
        "selection.definition.filterGroups[0].rules[0].field: guest has no field nope"
    ]
    assert api.post(path, json={"selection": {"segment": "nope"}}).status_code == 404


def test_a_list_is_a_condition_and_a_source(api: Api, jobs: Any) -> None:
    ann, bob = person(api, city="Cobh"), person(api, city="Cobh")
    vips = new_list(api)
    change(api, vips, guests=[ann["ref"]])
    is_on = {"location": "static_list", "field": vips["friendlyId"], "comparator": "is true"}
    cobh = rule("city", "is equal to", "Cobh")
    inside = create_segment(api, guests_where(cobh, is_on))
    outside = create_segment(
        api, guests_where(cobh, {**is_on, "comparator": "is false"}), friendlyId="outside"
    )
    assert members(api, inside) == {ann["ref"]}
    assert members(api, outside) == {bob["ref"]}
    why = api.get(f"/innkeeper/v1/segments/outside/guests/{bob['ref']}").json()
    assert why["member"] is True
    assert why["groups"][0]["rules"][1] == {
        "holds": True,
        "what": f"static_list.{vips['friendlyId']} is false",
        "value": False,
    }
    for wrong in ({**is_on, "field": "nope"}, {**is_on, "comparator": "is null"}):
        body = {"name": "Wrong", "definition": guests_where(wrong)}
        assert api.post("/innkeeper/v1/segments", json=body).status_code == 400
    export = api.post(
        "/innkeeper/v1/exports",
        json={"name": "VIPs out", "staticList": vips["friendlyId"], "format": "NDJSON"},
    )
    assert export.status_code == 201, export.text
    export = export.json()
    assert (export["staticList"], export.get("segment")) == (vips["ref"], None)
    path = f"/innkeeper/v1/exports/{export['ref']}"
    both = api.patch(path, json={"segment": "outside", "staticList": vips["ref"]})
    assert both.json()["errors"] == ["staticList: cannot be set together with segment"]
    answer = api.delete(f"{OWN}/{vips['ref']}")
    assert answer.status_code == 409
    assert len(answer.json()["errors"]) == 3
    changed = api.patch(path, json={"segment": "outside"}).json()
    assert (changed["segment"], changed.get("staticList")) == (outside["ref"], None)


def test_a_list_follows_merges_and_their_undo_exactly(api: Api) -> None:
    """By hand: the survivor is on the list while the absorbed guest is merged into it."""
    ann, old = person(api), person(api)
    vips = new_list(api)
    change(api, vips, guests=[old["ref"]])
    merge = api.post("/innkeeper/v1/merges", json={"survivor": ann["ref"], "absorbed": old["ref"]})
    assert merge.status_code == 201, merge.text
    assert on_list(api, vips) == {ann["ref"]}
    is_on = {"location": "static_list", "field": vips["friendlyId"], "comparator": "is true"}
    segment = create_segment(api, guests_where(is_on))
    assert members(api, segment) == {ann["ref"]}
    why = api.get(f"/innkeeper/v1/segments/{segment['ref']}/guests/{ann['ref']}").json()
    assert why["member"] is True
    change(api, vips, guests=[ann["ref"]])
    assert on_list(api, vips) == {ann["ref"]}
    undo = api.post(f"/innkeeper/v1/merges/{merge.json()['ref']}/undo")
    assert undo.is_success, undo.text
    assert on_list(api, vips) == {ann["ref"], old["ref"]}
    again = api.post("/innkeeper/v1/merges", json={"survivor": ann["ref"], "absorbed": old["ref"]})
    change(api, vips, "/remove", guests=[old["ref"]])
    assert on_list(api, vips) == set()
    assert api.post(f"/innkeeper/v1/merges/{again.json()['ref']}/undo").is_success
    assert on_list(api, vips) == set()


def test_an_erased_guest_leaves_every_list(api: Api, jobs: Any, connection: Any) -> None:
    ann, bob = person(api), person(api)
    vips = new_list(api)
    change(api, vips, guests=[ann["ref"], bob["ref"]])
    stored_data = jobs(lambda work: privacy.access(work, UUID(ann["ref"])))["held"]
    assert [row["name"] for row in stored_data["static_list_members"]] == ["VIPs"]
    api.delete(f"/v2.1/guests/{ann['ref']}")
    assert on_list(api, vips) == {bob["ref"]}
    for table in ("static_list_members", "bulk_actions", "bulk_action_guests"):
        rows = connection.execute(f"SELECT t::text FROM ws_live.{table} AS t").fetchall()
        assert ann["ref"] not in repr(rows), table


def test_many_guests_are_erased_when_their_number_is_confirmed(
    api: Api, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and by a job that is interrupted after its first transaction."""
    people = [person(api) for _ in range(5)]
    vips = new_list(api)
    change(api, vips, guests=[each["ref"] for each in people])
    body = {"selection": {"staticList": vips["friendlyId"]}, "expected": 4}
    answer = api.post(f"{BULK}/erasures", json=body)
    assert answer.status_code == 409
    assert "5 guests now, not 4" in answer.text
    assert on_list(api, vips) == refs(people)

    monkeypatch.setitem(bulk_actions.AT_ONCE, "ERASE", 4)
    monkeypatch.setitem(bulk_actions.CHUNK, "ERASE", 2)
    answer = api.post(f"{BULK}/erasures", json={**body, "expected": 5})
    assert answer.status_code == 202, answer.text
    action = answer.json()
    if action["state"] != "SUCCESS":
        assert (action["state"], action["pending"]) == ("RUNNING", 5)
        jobs(lambda work: bulk_actions.run(work, UUID(action["ref"])))
    done = api.get(f"{BULK}/{action['ref']}").json()
    assert (done["state"], done["changed"], done["pending"]) == ("SUCCESS", 5, 0)
    assert on_list(api, vips) == set()
    assert api.get(f"/v2.1/guests/{people[0]['ref']}").status_code == 404
    assert api.get(BULK).json()["items"][0]["ref"] == action["ref"]


@pytest.mark.parametrize("chunks", [0, 1])
def test_an_action_fails_once_its_list_is_deleted_and_is_deleted_later(
    api: Api, jobs: Any, connection: Any, monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    """Deleted before the job starts, or after its first transaction."""
    monkeypatch.setitem(bulk_actions.AT_ONCE, "ADD_TO_LIST", 1)
    monkeypatch.setitem(bulk_actions.CHUNK, "ADD_TO_LIST", 1)
    guests = [UUID(person(api)["ref"]) for _ in range(2)]
    vips, reached = new_list(api), []

    async def start(work: Work) -> Any:
        selection = await selections.select_refs(work, guests)
        return await bulk_actions.change_members(work, ADD, vips["ref"], selection, None)

    find = bulk_actions._next

    async def delete_first(work: Work, row: Any) -> Any:
        if len(reached) == chunks:
            assert api.delete(f"{OWN}/{vips['ref']}").status_code == 204
        reached.append(row)
        return await find(work, row)

    monkeypatch.setattr(bulk_actions, "_next", delete_first)
    action = jobs(start)
    jobs(lambda work: bulk_actions.run(work, action["ref"]))
    ended = api.get(f"{BULK}/{action['ref']}").json()
    assert (ended["state"], ended["changed"], ended["pending"]) == ("FAILED", chunks, 2 - chunks)
    assert ended["error"] == "The static list was deleted before the action ended."
    jobs(lambda work: bulk_actions.run(work, action["ref"]))
    assert len(reached) == chunks + 1, "a failed action is not tried again"

    assert jobs(bulk_actions.delete_finished) == 0
    connection.execute("UPDATE ws_live.bulk_actions SET finished_at = now() - interval '31 days'")
    assert jobs(bulk_actions.delete_finished) == 1
    assert connection.execute("SELECT FROM ws_live.bulk_action_guests").fetchall() == []


def test_a_file_without_identifiers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "addresses.txt"
    file.write_text(" \n,Ann\n")
    done = CliRunner().invoke(app, ["static-lists", "add", "vips", "--file", str(file)])
    assert "has no identifiers" in str(done.exception)
