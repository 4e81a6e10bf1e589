"""Lists on the screens, and actions on the guests that somebody chose in a table."""

import html
import re
from typing import Any

import psycopg
from calling import Api
from visiting import Person, field


def text_of(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.text
    return html.unescape(re.sub(r"<[^>]+>|\s+", " ", answer.text))


def act(owner: Person, query: dict[str, Any], **form: Any) -> Any:
    """Review an action, then send its form as a browser does; follow the redirect."""
    page = owner.get("/guests/bulk", params=query)
    assert page.status_code == 200, page.text
    address = html.unescape(re.findall(r'action="(/w/live/guests/bulk\?[^"]*)"', page.text)[0])
    form = {"expected": field(page.text, "expected"), **form}
    answer = owner.post(address.removeprefix("/w/live"), **form)
    if answer.status_code == 303:
        return owner.http.get(answer.headers["location"])
    return answer


def test_a_list_is_made_filled_and_deleted(owner: Person, api: Api) -> None:
    ann, bob = (api.guest(firstName=name, email=f"{name}@x.example") for name in ("ann", "bob"))
    response = owner.post("/lists", name="Autumn mailing", description="For October")
    assert response.headers["location"] == "/w/live/lists/autumn_mailing"
    path = "/lists/autumn_mailing"
    added = owner.post(path, action="add", identifiers=f"Mail,Name\nann@x.example,A\n{bob['ref']}")
    assert added.headers["location"] == "/w/live" + path
    page = text_of(owner.get(path))
    assert "2 guests added. No guest has Mail." in page
    assert "For October" in page
    answer = owner.get(f"/guests/{bob['ref']}")
    assert '<a href="/w/live/lists/autumn_mailing">Autumn mailing</a>' in answer.text
    assert re.search(r"Autumn mailing\s+added by \S+@\S+,\s+just now", text_of(answer))
    csv = owner.get(path + "/csv", params={"columns": "firstName"}).text
    assert sorted(csv.split()) == sorted(
        ["ref,firstName", f"{ann['ref']},ann", f"{bob['ref']},bob"]
    )
    query = {"do": "remove", "list": "autumn_mailing", "guests": ann["ref"]}
    assert "1 guest was removed from Autumn mailing." in text_of(act(owner, query))
    assert "Autumn mailing" in text_of(owner.get("/find", params={"q": "autumn"}))
    builder = owner.part(
        "/segments/new?g0.entity=guest&g0.was=guest&g0.r0.field=static_list:autumn_mailing:boolean"
    )
    assert "includes the guest" in builder.text
    owner.post(path, action="delete")
    assert owner.get(path).status_code == 404


def test_the_page_of_a_guest_says_why_it_is_in_a_segment(
    owner: Person, api: Api, connection: psycopg.Connection
) -> None:
    ref = api.guest(city="Whyville")["ref"]
    rules = {"rules": [{"field": "city", "comparator": "is equal to", "values": ["Whyville"]}]}
    for name, definition in (
        ("Ruled", {"filterGroups": [{"entity": "guest", **rules}]}),
        ("Written", {"sql": "SELECT guest_ref FROM guests"}),
    ):
        segment = api.post("/innkeeper/v1/segments", json={"name": name, "definition": definition})
        connection.execute(
            "INSERT INTO ws_live.segment_members (segment_ref, guest_ref, since) "
            "VALUES (%s, %s, now())",
            [segment.json()["ref"], ref],
        )
    page = owner.get(f"/guests/{ref}")
    assert "Ruled since just now Why?" in " ".join(text_of(page).split())
    why = re.findall(r'href="(/w/live/segments/[^"]*/why/[^"]*)"', page.text)
    assert why == [f"/w/live/segments/ruled/why/{ref}"]
    assert "is in Ruled" in text_of(owner.http.get(why[0]))


def test_all_guests_that_match_are_added_and_erased(owner: Person, api: Api) -> None:
    for name in ("ann", "bob", "cal"):
        api.guest(firstName=name, city="Cork")
    api.guest(firstName="dan", city="Bray")
    cork = {
        "r0.field": "core:city:string",
        "r0.comparator": "is equal to",
        "r0.first": "Cork",
        "type": "all",
    }
    everyone = {"all": "1", "do": "add", **cork}
    stale = act(owner, everyone, list="+", name="Corkonians", expected="2")
    assert "3 guests now, not 2" in text_of(stale, 409)
    assert owner.get("/lists/corkonians").status_code == 404, "a refused action creates no list"
    assert "3 guests were added to Corkonians." in text_of(
        act(owner, everyone, list="+", name="Corkonians")
    )
    erase = {"all": "1", "do": "erase", "list": "corkonians"}
    refused = act(owner, erase, confirm="erase")
    assert "Type erase 3 to confirm" in text_of(refused, 400)
    stale = act(owner, erase, confirm="erase 2", expected="2")
    assert "3 guests now, not 2" in text_of(stale, 409)
    assert "3 guests were erased." in text_of(act(owner, erase, confirm="erase 3"))
    assert api.get("/v2.1/guests").json()["totalCount"] == 1
    csv = owner.get("/guests/bulk/csv", params={"all": "1", "type": "all", "columns": "firstName"})
    assert csv.text.split()[1].endswith(",dan")


def test_roles_limit_what_is_done_with_chosen_guests(
    developer: Person, analyst: Person, api: Api
) -> None:
    guest = api.guest(firstName="ann")["ref"]
    assert "data-choose-page" not in developer.get("/guests?type=all").text
    page = analyst.get("/guests?type=all").text
    assert 'value="add"' in page
    assert 'value="erase"' not in page
    for person, action in ((developer, "add"), (analyst, "erase")):
        query = {"do": action, "guests": guest}
        assert person.get("/guests/bulk", params=query).status_code == 403
        assert (
            person.post(f"/guests/bulk?do={action}&guests={guest}", expected="1").status_code == 403
        )
