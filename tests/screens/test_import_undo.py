"""I10: the undo of an import by its page: preview, confirm, how far it is."""

import json
from uuid import uuid4

import httpx
from calling import Api
from sites import Site
from visiting import Person


def test_i10_an_import_is_undone_by_its_page(owner: Person, api: Api, site: Site) -> None:
    layout = {"entity": "guests", "compressed": False}
    made = api.post("/innkeeper/v1/imports", json=layout).json()
    people = [{"identifiers": [{"provider": "email", "id": f"{uuid4()}@x.com"}]} for _ in range(3)]
    file = "\n".join(map(json.dumps, people)).encode()
    httpx.put(made["location"]["href"], content=file).raise_for_status()
    site.run_worker()
    path = f"/imports/{made['ref']}"
    assert f"{path}/undo" in owner.get(path).text
    found = api.get("/v2.1/guests", params=_identifier(people[0])).json()["items"]
    api.patch(found[0]["href"], json={"firstName": "Ann"}).raise_for_status()
    page = owner.get(f"{path}/undo").text
    assert "Undo this import?" in page
    assert "Undo the rest" in page
    assert f"/guests/{found[0]['ref']}" in page
    assert owner.post(f"{path}/undo").status_code == 409
    assert owner.post(f"{path}/undo", skip_changed="yes").is_redirect
    assert "Being undone" in owner.get(f"{path}/undo").text
    site.run_worker()
    page = owner.get(f"{path}/undo").text
    assert "Left as they are" in page
    assert "Undone" in owner.get(path).text
    left = [
        bool(api.get("/v2.1/guests", params=_identifier(one)).json()["items"]) for one in people
    ]
    assert left == [True, False, False]


def _identifier(person: dict) -> dict[str, str]:
    (one,) = person["identifiers"]
    return {"identifiers.provider": one["provider"], "identifiers.id": one["id"]}
