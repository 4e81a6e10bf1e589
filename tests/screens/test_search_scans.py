"""How often a page scans the lake for a part of an e-mail address, which no index has."""

from typing import Any

import pytest
from calling import Api
from visiting import Person

from innkeeper.lake import guest_search


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the lake was scanned for."""
    texts: list[str] = []
    find = guest_search.find_by_part

    async def counted(lake: Any, text: str, most: int, *, emails: bool) -> list[str]:
        texts.append(text)
        return await find(lake, text, most, emails=emails)

    monkeypatch.setattr(guest_search, "find_by_part", counted)
    return texts


def test_a_sorted_search_scans_the_lake_once(owner: Person, api: Api, scans: list[str]) -> None:
    mail = "scanned.often@parts.example"
    body = {"guestType": "customer", "email": mail, "firstName": "Scarlet"}
    body |= {"identifiers": [{"provider": "email", "id": mail}]}
    assert api.post("/v2.1/guests", json=body).status_code == 201
    assert "Scarlet" in owner.get("/guests?type=all&q=anned.oft&sort=-lastSeen").text
    assert scans == ["anned.oft"]


def test_suggestions_and_similar_guests_do_not_scan_it(
    owner: Person, api: Api, scans: list[str]
) -> None:
    body = {"guestType": "customer", "phoneNumbers": ["none given"]}
    body |= {"identifiers": [{"provider": "email", "id": "similar@parts.example"}]}
    ref = api.post("/v2.1/guests", json=body).json()["ref"]
    assert owner.get(f"/guests/{ref}/identity").status_code == 200
    assert owner.get("/find?q=imilar@par").status_code == 200
    assert scans == []
