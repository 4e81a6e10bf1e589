"""Search by the beginning of a ref or an order reference, or by a part of an e-mail address."""

import json
from typing import Any
from uuid import UUID

import pytest
from calling import Api
from sites import Site
from test_segments_api import jobs, order
from typer.testing import CliRunner

from innkeeper.actions.console import search
from innkeeper.cli.app import app
from innkeeper.rules.search import read

__all__ = ["jobs"]


def test_a_guest_is_found_by_a_part(api: Api, jobs: Any) -> None:
    def find(text: str, **more: bool) -> list[tuple[str, str]]:
        hits = jobs(lambda work: search.find_guests(work, text, **more))
        return [(str(item["ref"]), item["found_by"]) for item in hits.items]

    mail = "Quentin.Partlow77@parts.example"
    body = {"guestType": "customer", "email": mail}
    body |= {"identifiers": [{"provider": "email", "id": mail}]}
    guest = api.post("/v2.1/guests", json=body).json()
    order(api, guest, referenceId="PART-2026-0042")
    ref = guest["ref"]
    assert find(ref[:8]) == [(ref, "ref")]
    assert find(ref[:13].upper()) == [(ref, "ref")]
    for text in ("quentin.partlow77", "tin.part", "part-2026-00"):
        assert find(text) == [(ref, "part of an e-mail or order")], text
    assert find("par") == find("tlow%") == find("partlow77", personal=False) == []


def test_a_search_by_a_word_has_guests_of_each_similar_word(
    api: Api, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more hits than are read: an equal word first, then as many of each that begins with it."""
    monkeypatch.setattr(search, "MOST", 3)
    for name in (*["Zoltana"] * 3, "Zoltanka", "Zoltan"):
        api.post("/v2.1/guests", json={"guestType": "customer", "firstName": name})
    hits = jobs(lambda work: search.find_guests(work, "zoltan"))
    names = [item["first_name"] for item in hits.items]
    assert names[0] == "Zoltan"
    assert sorted(names) == ["Zoltan", "Zoltana", "Zoltanka"]
    assert hits.is_more


def test_a_suggestion_knows_an_address_by_the_names_in_it(api: Api, jobs: Any) -> None:
    """Only indexes are read: a guest is suggested by names, whose address has what was typed."""
    names = {"firstName": "Winifred", "lastName": "Oxlade"}
    refs = [
        api.guest(**names, email=f"{mail}@parts.example")["ref"]
        for mail in ("winifred.oxlade1999", "oxlade.winifred")
    ]

    def suggested(text: str) -> list[str]:
        hits = jobs(lambda work: search.find_guests(work, text, is_quick=True))
        return [str(item["ref"]) for item in hits.items]

    assert suggested("winifred.oxlade1999@par") == [refs[0]]
    assert suggested("Oxlade.Winifred@parts") == [refs[1]]
    assert suggested("winifred.oxlade1998@") == []


def test_a_guest_is_suggested_by_the_beginning_of_an_order_reference(api: Api, jobs: Any) -> None:
    identifiers = [{"provider": "email", "id": "beginning@parts.example"}]
    guest = api.guest(email="beginning@parts.example", identifiers=identifiers)
    order(api, guest, referenceId="Begin-77-0042")
    ref = guest["ref"]

    def find(text: str, **more: bool) -> list[tuple[str, str]]:
        hits = jobs(lambda work: search.find_guests(work, text, **more))
        return [(str(item["ref"]), item["found_by"]) for item in hits.items]

    for personal in (True, False):
        assert find("begin-77-00", is_quick=True, personal=personal) == [(ref, "order reference")]
    assert find("begin-77-00", personal=False) == [(ref, "order reference")]
    # No address is searched for a part of it, nor what no reference begins with.
    assert find("inning@", is_quick=True) == find("egin-77", is_quick=True) == []


def test_the_search_is_the_same_over_http_and_by_command(api: Api, site: Site) -> None:
    ref = api.guest(firstName="Xanthe", lastName="Overhttp", email="x.over@parts.example")["ref"]
    answer = api.get("/innkeeper/v1/guests", params={"q": "xanthe overhtp"}).json()
    (item,) = answer["items"]
    assert (item["ref"], item["matchedBy"], answer["totalCount"]) == (ref, "name", 1)
    assert item["href"].endswith(f"/v2.1/guests/{ref}")
    none = api.get("/innkeeper/v1/guests", params={"q": "xanthe overhtp", "type": "traveller"})
    assert none.json()["items"] == []
    assert "q" in api.get("/innkeeper/v1/guests").text
    words = ["guests", "search", "x.over@parts", "--json", "--database", site.dsn]
    (row,) = json.loads(CliRunner().invoke(app, words).stdout)
    assert (row["ref"], row["name"]) == (ref, "Xanthe Overhttp")


@pytest.mark.parametrize("text", ["4c67e30e", "4C67E30E-e11e", "4c67e30ee11e"])
def test_the_beginning_of_a_ref_is_a_range(text: str) -> None:
    query = read(text)
    if len(text) == 12:
        assert query.ref_range is None
        return
    assert query.ref_range is not None
    first, last = query.ref_range
    ref = UUID("4c67e30e-e11e-4719-80ba-651d219664be")
    assert first <= ref <= last
    assert query.identifier == text
