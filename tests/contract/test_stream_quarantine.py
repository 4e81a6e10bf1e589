"""Quarantine: nothing that was acknowledged is lost (issue; stream-api.md 9)."""

import re
from typing import Any

import pytest
from calling import NOBODY, Api
from sites import Site
from streams import Page, ago, product, quarantine, replay, types

PATH = "/innkeeper/v1/quarantine"


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


def point(api: Api, name: str) -> None:
    answer = api.post("/v2/tenants/points-of-sale", json={"name": name, "timeout": 30})
    assert answer.status_code == 201, answer.text


@pytest.fixture(autouse=True)
def no_points_left(api: Api) -> Any:
    yield
    for each in api.get("/v2/tenants/points-of-sale").json():
        if each["name"] != "default":
            api.delete(f"/v2/tenants/points-of-sale/{each['name']}")


def test_listed(api: Api, page: Page) -> None:
    """Issue: kept with the reason, listed."""
    page("VIEW", pos="new", page="1")
    page("CLICK")
    page("VIEW", ext={"a": {}})
    listed = api.get(PATH).json()
    assert listed["totalCount"] == 3
    assert listed["reasons"] == {
        "ext attribute unusable": 1,
        "reserved name": 1,
        "unknown point of sale": 1,
    }
    first = listed["items"][0]
    assert {
        **first,
        "what": "event",
        "reason": "unknown point of sale",
        "detail": "new",
        "type": "VIEW",
        "browserRef": page.browser,
        "attempts": 0,
    } == first
    assert first["message"]["page"] == "1"
    assert len(quarantine(api, reason="reserved name")) == 1
    assert [item["type"] for item in quarantine(api, offset=1, limit=1)] == ["CLICK"]
    assert quarantine(api, reason="\x00") == []
    assert api.get(PATH, params={"orderRef": "x", "limit": "y"}).json()["errors"] == [
        "limit: must be an integer",
        "orderRef: not a valid value",
    ]
    assert quarantine(api, offset=99) == []


def test_replayed_after_the_configuration_is_mended(api: Api, page: Page) -> None:
    """Issue: replayable; the event keeps the ref and the time it was told."""
    page("VIEW", page="1", requested_at=ago(minutes=50))
    at = ago(minutes=49)
    ref = page("VIEW", pos="new", page="2", requested_at=at)["ref"]
    page("VIEW", page="3", requested_at=ago(minutes=25))
    assert [types(session) for session in page.sessions] == [["VIEW"], ["VIEW"]]
    assert replay(api) == {"attached": 0, "waiting": 1, "reasons": {"unknown point of sale": 1}}
    assert quarantine(api)[0]["attempts"] == 1
    point(api, "new")
    assert replay(api) == {"attached": 1, "waiting": 0, "reasons": {}}
    assert quarantine(api) == []
    # Its half hour closes the gap.
    events = page.session["events"]
    assert [event["page"] for event in events] == ["1", "2", "3"]
    assert (events[1]["ref"], events[1]["createdAt"]) == (ref, at)
    assert replay(api) == {"attached": 0, "waiting": 0, "reasons": {}}
    assert len(page.session["events"]) == 3


def test_replayed_with_its_meaning(api: Api, page: Page) -> None:
    """An order that waited is made when it is replayed."""
    page("ADD", product=product("1", 7))
    page("CHECKOUT", reference_id="B-1", status="PURCHASED", pos="new")
    assert page.context()["orders"] == []
    point(api, "new")
    replay(api)
    (order,) = page.context()["orders"]
    assert (order["price"], order["pointOfSale"]) == (7, "new")


def test_selected(api: Api, page: Page) -> None:
    """Only those of a reason, or the named ones."""
    refs = [page("VIEW", pos="new")["ref"] for _ in range(3)]
    page("CLICK")
    point(api, "new")
    assert replay(api, refs=refs[:1])["attached"] == 1
    assert replay(api, reason="reserved name") == {
        "attached": 0,
        "waiting": 1,
        "reasons": {"reserved name": 1},
    }
    assert replay(api, reason="unknown point of sale")["attached"] == 2
    assert len(page.session["events"]) == 3


def test_a_reason_may_give_way_to_another(api: Api, page: Page) -> None:
    page("ADD", pos="new")
    point(api, "new")
    assert replay(api)["reasons"] == {"bad attributes": 1}
    (quarantined,) = quarantine(api)
    assert (quarantined["reason"], quarantined["detail"]) == ("bad attributes", "product")


def test_parts_are_given_back(api: Api, page: Page, connection: Any) -> None:
    """Section 9 row ext: an attribute whose type was settled otherwise is the event's again."""
    page("TYPED2", ext={"level": "typo"})
    ref = page("TYPED2", ext={"level": 3, "name": "x"})["ref"]
    assert replay(api)["waiting"] == 1
    connection.execute("DELETE FROM ws_live.event_attributes")
    page("TYPED2", ext={"level": 4})
    assert replay(api) == {"attached": 1, "waiting": 0, "reasons": {}}
    (event,) = [event for event in page.session["events"] if event["ref"] == ref]
    assert event["arbitraryData"]["ext"] == {"level": 3, "name": "x"}


def test_a_replay_with_an_idempotency_key(api: Api, page: Page) -> None:
    """It commits event by event, so what still waits takes nothing from what is attached."""
    page("VIEW", pos="new")
    page("CLICK")
    point(api, "new")
    answer = api.post(f"{PATH}/replay", json={}, headers={"Idempotency-Key": "once"})
    body = answer.json()
    assert len(body.pop("items")) == 2
    assert body == {"attached": 1, "waiting": 1, "reasons": {"reserved name": 1}}


@pytest.mark.parametrize("wrong", [{"refs": "x"}, {"refs": ["x"]}, {"refs": [1]}, {"reason": 1}])
def test_a_selection_that_is_none(api: Api, wrong: dict[str, Any]) -> None:
    assert api.post(f"{PATH}/replay", json=wrong).status_code == 400


def test_discarded(api: Api, page: Page) -> None:
    ref = page("CLICK")["ref"]
    assert api.delete(f"{PATH}/{ref}").status_code == 204
    assert api.delete(f"{PATH}/{ref}").status_code == 404
    assert api.delete(f"{PATH}/{NOBODY}").status_code == 404
    assert quarantine(api) == []


def test_needs_the_token(page: Page) -> None:
    """The list holds what visitors sent: a public key does not open it."""
    page("CLICK")
    assert page.get(PATH).status_code == 401


def test_counted(site: Site, api: Api, page: Page) -> None:
    """Issue: counted in metrics, by reason."""

    def counts() -> dict[str, float]:
        text = page.get("/metrics").text
        matches = re.findall(
            r'^innkeeper_events_quarantined_total\{reason="([^"]+)"\} (\S+)$', text, re.MULTILINE
        )
        return {reason: float(count) for reason, count in matches}

    before = counts()
    page("VIEW", pos="nowhere")
    page("VIEW", ext={"a": None})
    after = counts()
    for reason in ("unknown point of sale", "ext attribute unusable"):
        assert after[reason] == before.get(reason, 0) + 1
    assert "\ninnkeeper_quarantine_waiting 2.0\n" in page.get("/metrics").text
