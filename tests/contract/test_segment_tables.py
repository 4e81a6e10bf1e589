"""Tables of a segment's guests, copies, earlier revisions and overlaps, over HTTP."""

from typing import Any

import pytest
from calling import Api
from test_segments_api import OWN, create_segment, guests_where, order, rule

from innkeeper.lake import snapshot


def guest(api: Api, name: str, city: str | None, **more: Any) -> dict[str, Any]:
    identifiers = [{"provider": "email", "id": f"{name}@table.example"}]
    body = {"guestType": "customer", "firstName": name, "city": city, "identifiers": identifiers}
    answer = api.post("/v2.1/guests", json={**body, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_segment_is_listed_with_columns_sorted_and_paged(api: Api) -> None:
    """By hand: sorted by spending, descending: Bea 90, ann 30, then Cal without an order."""
    ann, bea, cal = (guest(api, name, "Table") for name in ("ann", "Bea", "Cal"))
    order(api, ann, price=30)
    order(api, bea, price=90)
    pairs = {"name": "ext", "points": 9}
    assert api.post(f"/v2.1/guests/{cal['ref']}/extensions", json=pairs).status_code == 201
    assert api.post(
        f"/v2.1/guests/{ann['ref']}/extensions", json={**pairs, "points": 10}
    ).is_success
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Table")))
    path = f"{OWN}/{segment['ref']}/table"

    def names(**params: Any) -> list[str]:
        answer = api.get(path, params={"columns": "firstName", **params})
        assert answer.status_code == 200, answer.text
        assert answer.json()["totalCount"] == 3
        return [row["firstName"] for row in answer.json()["rows"]]

    assert names(sort="-trait.lifetimeValue.EUR") == ["Bea", "ann", "Cal"]
    assert names(sort="firstName") == ["ann", "Bea", "Cal"]
    # Extensions are stored as text; 10 is more than 9, and nothing comes last in both directions.
    assert names(sort="ext.points") == ["Cal", "ann", "Bea"]
    assert names(sort="-ext.points") == ["ann", "Cal", "Bea"]
    assert names(sort="firstName", offset=1, limit=1) == ["Bea"]
    assert names(sort="firstName", offset=9) == []
    csv = api.get(path, params={"columns": "firstName,trait.orderCount", "format": "csv"}).text
    assert csv.splitlines()[0] == "ref,firstName,trait.orderCount"
    assert f"{bea['ref']},Bea,1" in csv
    csv = api.get(
        path, params={"columns": "firstName,emails", "format": "csv", "sort": "-firstName"}
    )
    rows = [line.split(",", 1)[1] for line in csv.text.splitlines()]
    assert rows == ["firstName,emails", "Cal,", "Bea,", "ann,"]
    part = {"columns": "firstName", "format": "csv", "sort": "firstName", "offset": 1, "limit": 1}
    assert api.get(path, params=part).text.splitlines()[1:] == [f"{bea['ref']},Bea"]
    answer = api.get(path, params={"columns": "nope", "sort": "no.trait"})
    assert answer.json()["errors"] == ["columns[0]: there is no column nope"]
    answer = api.get(path, params={"sort": "-trait.nope"})
    assert answer.json()["errors"] == ["sort: there is no column trait.nope"]


def test_rows_are_the_same_from_the_store_and_from_files(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: Hob has its two orders and one of the guest merged into it, and its own extension;
    Ivy has neither."""
    hob, _, deleted = (guest(api, name, "Routes") for name in ("Hob", "Ivy", "Gone"))
    for who, price in ((hob, 10), (hob, 20.5), (deleted, 30)):
        order(api, who, price=price)
    for who, points in ((hob, 7), (deleted, 99)):
        pairs = {"name": "ext", "points": points}
        assert api.post(f"/v2.1/guests/{who['ref']}/extensions", json=pairs).is_success
    merge = {"survivor": hob["ref"], "absorbed": deleted["ref"]}
    assert api.post("/innkeeper/v1/merges", json=merge).is_success
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Routes")))
    columns = (
        "firstName,emails,lastSeen,ext.points,trait.orderCount,trait.lifetimeValue.EUR,"
        "trait.lastOrderAt,identifiers"
    )
    params = {"columns": columns, "sort": "firstName"}

    def rows() -> Any:
        return api.get(f"{OWN}/{segment['ref']}/table", params=params).json()["rows"]

    of_store = rows()
    names = ("firstName", "ext.points", "trait.orderCount", "trait.lifetimeValue.EUR")
    assert [[row[name] for name in names] for row in of_store] == [
        ["Hob", "7", 3, 60.5],
        ["Ivy", None, 0, 0],
    ]
    monkeypatch.setattr(snapshot, "MOST_ORDERS", 0)
    assert rows() == of_store
    monkeypatch.setattr(snapshot, "MOST_GUESTS", 0)
    assert rows() == of_store


def test_a_score_is_among_all_buyers_not_those_of_the_page(api: Api) -> None:
    """By hand: of five buyers, the two that paid most have 5 and 4."""
    for number in range(1, 6):
        order(api, guest(api, f"Buyer {number}", "Scores"), price=10 * number)
    column = "trait.rfmValue.EUR"
    body = {
        "definition": guests_where(rule("city", "is equal to", "Scores")),
        **{"columns": ["firstName", column], "sort": f"-{column}", "limit": 2},
    }
    rows = api.post(f"{OWN}/table", json=body).json()["rows"]
    scores = [(row["firstName"], row[column]) for row in rows]
    assert scores == [("Buyer 5", 5), ("Buyer 4", 4)]


def test_a_definition_is_listed_without_being_stored(api: Api) -> None:
    dot = guest(api, "Dot", "Unstored")
    body = {"definition": guests_where(rule("city", "is equal to", "Unstored"))}
    answer = api.post(f"{OWN}/table", json={**body, "columns": ["city", "emails"], "limit": 5})
    row = {"ref": dot["ref"], "city": "Unstored", "emails": None}
    assert answer.json() == {"totalCount": 1, "columns": ["city", "emails"], "rows": [row]}


@pytest.mark.long
def test_two_segments_are_compared(api: Api) -> None:
    """By hand: Eve and Flo are of the place, Flo and Gil are older: Flo is in both."""
    for name, city, born in (
        ("Eve", "Overlap", "1990-01-01"),
        ("Flo", "Overlap", "1970-01-01"),
        ("Gil", "Elsewhere", "1970-01-01"),
    ):
        guest(api, name, city, dateOfBirth=born)
    place = create_segment(
        api, guests_where(rule("city", "is equal to", "Overlap")), friendlyId="place"
    )
    sql = "SELECT guest_ref FROM guests WHERE core_date_of_birth < DATE '1980-01-01'"
    create_segment(api, {"sql": sql}, friendlyId="older")
    answer = api.get(f"{OWN}/{place['ref']}/overlap/older")
    assert answer.json() == {"size": 2, "otherSize": 2, "both": 1}
    answer = api.get(f"{OWN}/older/overlap/older")
    assert answer.json() == {"size": 2, "otherSize": 2, "both": 2}
    assert api.get(f"{OWN}/place/overlap/none").status_code == 404


def test_a_copy_is_a_draft_and_a_revision_comes_back(api: Api) -> None:
    first = guests_where(rule("city", "is equal to", "One"))
    segment = create_segment(api, first, friendlyId="copied", tags=["a"])
    copies = [api.post(f"{OWN}/copied/duplicate").json() for _ in range(2)]
    assert [each["friendlyId"] for each in copies] == [
        "copy_of_some_guests",
        "copy_of_some_guests_2",
    ]
    for copy in copies:
        assert (copy["status"], copy["tags"]) == ("DRAFT", ["a"])
        assert copy["definition"] == segment["definition"]
    second = guests_where(rule("city", "is equal to", "Two"))
    changed = api.patch(f"{OWN}/copied", json={"name": "Other", "definition": second})
    assert changed.json()["revision"] == 2
    back = api.post(f"{OWN}/copied/revisions/1/restore").json()
    assert (back["revision"], back["name"]) == (3, "Some guests")
    assert back["definition"] == segment["definition"]
    assert api.post(f"{OWN}/copied/revisions/9/restore").status_code == 404
    assert api.post(f"{OWN}/copied/revisions/x/restore").status_code == 404
    assert api.post(f"{OWN}/copied/start").status_code == 202
    assert api.post(f"{OWN}/copied/revisions/1/restore").status_code == 409


def test_a_type_of_orders_is_refused(api: Api) -> None:
    """Rows of orders have no type in the lake, so that such a definition could not be counted."""
    group = {"entity": "order", "type": "WEB"}
    body = {"definition": {"filterGroups": [group]}}
    answer = api.post(f"{OWN}/preview", json=body)
    reason = "definition.filterGroups[0].type: orders have no types"
    assert (answer.status_code, answer.json()["errors"]) == (400, [reason])
    trait = api.put("/innkeeper/v1/traits/ofType", json={**group, "function": "count"})
    assert (trait.status_code, trait.json()["errors"]) == (400, ["type: orders have no types"])
    group["type"] = "ALL"
    assert api.post(f"{OWN}/preview", json=body).status_code == 200
